"""Collects the newest events from candidates that come in no order."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from surehook.admin.event_records import EventRecord

KEPT_FACTOR = 10


class Candidate(NamedTuple):
    """An event that may match: the newest is the greatest."""

    received_ms: int
    event_id: str
    number: int = -1
    """The number of its row in the index; -1 for an event without one."""


Batch = tuple[list[Candidate], float]
"""Candidates, and an instant in ms that none of the later batches' candidates is later than."""
Read = Callable[[list[Candidate]], list[EventRecord]]
"""Returns the events among candidates that match, in the same order."""


class Newest:
    """The newest events of those that were added so far."""

    def __init__(self, count: int, read: Read) -> None:
        self.found: list[EventRecord] = []
        self.floor_ms = 0
        """Earlier candidates need not be added."""
        self.dropped: Candidate | None = None
        """Older candidates than this one were not read."""
        self._count = count
        self._read = read
        self._waiting: list[Candidate] = []

    @property
    def is_complete(self) -> bool:
        return len(self.found) >= self._count

    def add(self, candidates: Iterable[Candidate], bound_ms: float) -> None:
        """Adds candidates; those that are later than `bound_ms` are the next ones for certain."""
        self._waiting += candidates
        self._waiting.sort()
        while self._waiting and self._waiting[-1].received_ms > bound_ms and not self.is_complete:
            self._read_some(bound_ms)
        most = KEPT_FACTOR * self._count
        if len(self._waiting) > 2 * most:  # or a backlog that was closed at last would all be kept here
            self._waiting = self._waiting[-most:]
            self.dropped = self._waiting[0]
            self.floor_ms = self.dropped.received_ms

    def finish(self) -> None:
        """Reads what waits: no more candidates come."""
        while self._waiting and not self.is_complete:
            self._read_some(-1)

    def _read_some(self, bound_ms: float) -> None:
        ready = [each for each in self._waiting[-self._count :] if each.received_ms > bound_ms]
        del self._waiting[-len(ready) :]
        self.found += self._read(ready[::-1])


def newest(
    batches: Callable[[Candidate | None, Newest], Iterator[Batch]], count: int, before: Candidate | None, read: Read
) -> list[EventRecord]:
    """The newest events older than `before`. `batches` begins anew with each call."""
    found: list[EventRecord] = []
    while True:
        collected = Newest(count - len(found), read)
        for candidates, bound_ms in batches(before, collected):
            collected.add((each for each in candidates if before is None or each[:2] < before[:2]), bound_ms)
            if collected.is_complete:
                break
        collected.finish()
        found += collected.found
        if len(found) >= count or collected.dropped is None:
            return found[:count]
        before = collected.dropped
