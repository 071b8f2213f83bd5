"""A claim: a job that this process holds under a lease."""

from typing import NamedTuple

from surehook.shared.job_id import event_id_of


# Named tuples: several are made for each job, and a frozen dataclass takes four times as long.
class Claim(NamedTuple):
    """A job under a lease, with its event's record."""

    queue: str
    job_id: str
    token: str
    runs: int
    spent: int
    interruptions: int
    handler_name: str
    """Empty until the event's handlers have been chosen."""
    event_type: str
    tenant_id: str
    application_ids: str
    body: bytes
    key_id: str = ""
    """The fingerprint of the key the body is encrypted with; empty for a plain body."""
    committed: bool = False
    """An operator says that FusionAuth went ahead: transactional handlers run, too."""
    was_transactional: bool = False
    """The event came as a transaction, so its transactional handlers have run already."""
    place: str = ""
    """Its place in a line, for a handler with an order; empty until its key is known."""
    is_outdated: bool = False
    """Its handler has `latest_only`, and has applied a newer change."""
    user_id: str = ""
    received_ms: int = 0
    is_replay: bool = False
    """An operator has run its event again."""

    @property
    def event_id(self) -> str:
        return event_id_of(self.job_id)

    @property
    def key(self) -> str:
        return f"{self.job_id}:{self.token}"

    @property
    def position(self) -> int:
        """Its position in its exchange, from 1."""
        return int(self.token.rpartition("-")[2])
