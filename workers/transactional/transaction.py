"""A transactional event in a worker process, and the outcome of its handlers."""

from typing import NamedTuple

from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.execution.attempts import AttemptRecord


# Named tuples: several are made for each event, and a frozen dataclass takes four times as long.
class Transaction(NamedTuple):
    """An event whose sender waits for the outcome of its handlers."""

    event_id: str
    round: str
    seconds_left: float
    event_type: str
    tenant_id: str
    application_ids: str
    body: bytes
    key_id: str = ""
    """The fingerprint of the key the body is encrypted with; "" if it is plain."""
    claim: int = 0
    """The number of the claim that started the run; every later message about the run carries it."""
    read_at: float = 0.0
    """When `seconds_left` was measured, on the clock of time.monotonic()."""
    queue: str = TRANSACTIONAL_QUEUE
    user_id: str = ""
    received_ms: int = 0
    """In ms since 1970; 0 if it is not known."""


class Outcome(NamedTuple):
    """The outcome of the handlers, and the jobs that follow from it."""

    outcome: str
    """completed, rejected or failed."""
    reason: str = ""
    is_unknown: bool = False
    """A handler was cut off, so its effect is unknown."""
    undo_jobs: str = ""
    """The jobs to run if the transaction is abandoned."""
    commit_jobs: str = ""
    """The jobs to run after the transaction was committed."""
    attempts: tuple[AttemptRecord, ...] = ()
    facts: bytes = b""
    """The event's for the index; empty if they are not known."""
