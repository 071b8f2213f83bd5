"""A claim: a job that this process holds for now, under a lease."""

from typing import NamedTuple


# Named tuples: these are made several times for each job, and a frozen dataclass takes four times as long.
class Claim(NamedTuple):
    """A job that is ours for now, with its event's record."""

    queue: str
    job_id: str
    token: str
    runs: int
    spent: int
    interruptions: int
    handler_name: str
    """"" while nobody has looked yet who wants the event."""
    event_type: str
    tenant_id: str
    application_id: str
    body: bytes
    key_id: str = ""
    """The fingerprint of the key the body is encrypted with; "" if it is plain."""
    as_fact: bool = False
    """A person says that FusionAuth went ahead: the transactional handlers are told, too."""
    was_asked: bool = False
    """It came as a transaction, so its transactional handlers have had their say."""

    @property
    def event_id(self) -> str:
        return self.job_id[:36]

    @property
    def key(self) -> str:
        return f"{self.job_id}:{self.token}"

    @property
    def place(self) -> int:
        """In its trip, from 1."""
        return int(self.token.rpartition("-")[2])
