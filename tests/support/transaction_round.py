"""One round of the transaction model: an event that is sent again later gets another."""

from dataclasses import dataclass, field

REFUSALS = ("rejected", "failed", "abandoned")
Run = tuple[str, str, int]  # round, worker, claim


@dataclass
class Round:
    """One transaction of an event; an event that is sent again later gets another round."""

    number: str
    deadline: int
    state: str = "waiting"
    worker: str | None = None
    requests: int = 1
    waiters: set[str] = field(default_factory=set)
    starts: int = 0
    undo: tuple[str, ...] = ()
    claim: int = 0
    settled_by: tuple[str, int] | None = None
