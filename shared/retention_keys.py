"""The keys of what stays of a closed event, of what goes before its record does, and of the index that finds it."""


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

    def index(self, segment: int | str) -> str:
        """String: 4,096 rows of the index of closed events; see `scripts/lib/index.lua`."""
        return f"{self.prefix}:index:{segment}"

    def index_summary(self, segment: int | str) -> str:
        """String: what is in a segment, so that searches leave it out; see `shared/index_summary.py`."""
        return f"{self.prefix}:index-summary:{segment}"

    @property
    def index_segments(self) -> str:
        """Sorted set: the index's segments, each scored by an instant that no row of an older one is later than."""
        return f"{self.prefix}:index-segments"

    @property
    def index_state(self) -> str:
        """Hash: `next`, the next row's number; `until`, `latest`; and how far the check of the index got."""
        return f"{self.prefix}:index-state"

    @property
    def index_unfinished(self) -> str:
        """Set: events whose row lacks the e-mail address, because a script without it added the row."""
        return f"{self.prefix}:index-unfinished"

    @property
    def index_lock(self) -> str:
        """String: held by the process that checks the index."""
        return f"{self.prefix}:index-checking"

    @property
    def index_key(self) -> str:
        """String: the key with which e-mail addresses in the index are hashed; see `index_key.py`."""
        return f"{self.prefix}:index-key"
