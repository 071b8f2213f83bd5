"""The keys of what stays of a closed event, and of what goes before its record does."""


class RetentionKeys:
    """A part of `Keys`."""

    __slots__ = ()
    prefix: str

    def known_ids(self, name: str) -> str:
        """Hash: the ids of closed events that end in these characters; see `scripts/lib/known_ids.lua`."""
        return f"{self.prefix}:known-ids:{name}"

    @property
    def known_ids_state(self) -> str:
        """Hash: `longest`, the length of the longest such ending; `day` and `next`, how far old ids are forgotten."""
        return f"{self.prefix}:known-ids-state"

    def erased_user(self, user_hash: str) -> str:
        """Number: when a user was last erased (ms, store's clock); spooled events from before then are dropped."""
        return f"{self.prefix}:erased-user:{user_hash}"

    @property
    def body_retention(self) -> str:
        """Number: the seconds after which the body of a closed event goes, if its record stays longer."""
        return f"{self.prefix}:body-retention"

    @property
    def closed_bodies(self) -> str:
        """List: `{event} {closed_at}` of closed events with a body that goes before their record, the oldest first."""
        return f"{self.prefix}:closed-bodies"
