"""The ledger: checks that every accepted event is open or closed, and that every open event has its jobs."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import redis

from surehook.shared.keys import Keys
from surehook.shared.stats import Stats, StatsReader
from surehook.workers.maintenance.job_index import MAX_SUSPECTS, JobScan, JobState
from surehook.workers.maintenance.missing_jobs import MissingJobs

# Longer than any claim or ack.
SHOW_THREAD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """The counts, the open events' states and the missing jobs."""

    stats: Stats
    """All counts of one instant."""
    events: Counter[JobState]
    """The states of open events, each when it was read; on a busy store they are not of one instant."""
    without_job: list[str]
    """The ids of jobs that open events should have, at most MAX_SUSPECTS."""

    @property
    def is_balanced(self) -> bool:
        return not self.stats.off_by and not self.without_job

    @property
    def is_cut_short(self) -> bool:
        return len(self.without_job) >= MAX_SUSPECTS


class Ledger:
    """Reads a report; changes nothing."""

    def __init__(self, store: redis.Redis, keys: Keys, on_page: Callable[[int], None] = lambda _: None) -> None:
        self._stats = StatsReader(store, keys)
        self._scan = JobScan(store, keys, on_page)
        self._lost = MissingJobs(store, keys, handler_timeout=0)

    def counts(self) -> Stats:
        return self._stats.read()

    def read(self, pause: Callable[[float], None] = time.sleep) -> LedgerReport:
        """Checks every open event, and a moment later checks again the events that seem to lack a job."""
        stats = self.counts()
        result = self._scan.run()
        if not result.suspects:
            return LedgerReport(stats, result.events, [])
        pause(SHOW_THREAD_SECONDS)
        return LedgerReport(stats, result.events, self._lost.name(result.suspects, since=stats.read_at))
