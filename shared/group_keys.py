"""The names of the keys of failure groups."""


class GroupKeys:
    """The part of `Keys` that holds failure groups."""

    __slots__ = ()
    prefix: str

    def group(self, group_id: str) -> str:
        """Hash: a way in which a handler fails: its error, when it was seen. Its dead letters are RQ's."""
        return f"{self.prefix}:group:{group_id}"

    def groups(self, handler: str) -> str:
        """Sorted set: the groups of a handler, scored by when they were last seen (ms)."""
        return f"{self.prefix}:groups:{handler}"

    @property
    def group_handlers(self) -> str:
        """Set: the handlers that have groups; "" where the handler is not known."""
        return f"{self.prefix}:group-handlers"
