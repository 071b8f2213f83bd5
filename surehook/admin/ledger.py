"""The ledger: whether everything accepted is closed or open, and every open event has a job."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import redis

from surehook.shared.keys import Keys
from surehook.shared.stats import BooksReader, Stats
from surehook.workers.maintenance.job_index import MOST_SUSPECTS, JobScan, JobState
from surehook.workers.maintenance.missing_jobs import LostJobs

# Longer than any claim or settlement is under way.
MOMENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What the store says of itself."""

    books: Stats
    """All counts, of one instant."""
    events: Counter[JobState]
    """Where open events were when they were looked at, which on a busy store is not one instant."""
    without_job: list[str]
    """The ids of jobs that open events should have, at most MOST_SUSPECTS."""

    @property
    def is_balanced(self) -> bool:
        return not self.books.off_by and not self.without_job

    @property
    def is_cut_short(self) -> bool:
        return len(self.without_job) >= MOST_SUSPECTS


class Ledger:
    """Reads a statement; changes nothing."""

    def __init__(self, store: redis.Redis, keys: Keys, on_page: Callable[[int], None] = lambda _: None) -> None:
        self._books = BooksReader(store, keys)
        self._census = JobScan(store, keys, on_page)
        self._lost = LostJobs(store, keys, handler_timeout=0)

    def counts(self) -> Stats:
        return self._books.read()

    def read(self, pause: Callable[[float], None] = time.sleep) -> LedgerReport:
        """Look everything up, and for what seems to have no job once more after a moment."""
        books = self.counts()
        tally = self._census.take()
        if not tally.suspects:
            return LedgerReport(books, tally.events, [])
        pause(MOMENT_SECONDS)
        return LedgerReport(books, tally.events, self._lost.name(tally.suspects, since=books.read_at))
