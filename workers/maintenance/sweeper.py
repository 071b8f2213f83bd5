"""Queues open events again that have no job in any queue or registry.

Looking up every event takes seconds with half a million open events, so counts are compared first. Every transition is
one script, so the number of jobs minus the number of open events stays the same until a job is lost. Every event is
looked up when that difference changes, when there are few, and from time to time in any case: a copy of a job, which
RQ's tools can make, hides the loss of another. The looking takes a twentieth of the time at most.
"""

import logging
import time
from collections.abc import Callable

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text
from surehook.shared.stats import StatsReader
from surehook.workers.background import PeriodicThread
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.job_index import MAX_SUSPECTS, JobScan
from surehook.workers.maintenance.limited_queues import FormerQueues
from surehook.workers.maintenance.lines import Lines
from surehook.workers.maintenance.missing_jobs import MissingJobs
from surehook.workers.maintenance.rq_tools import RQTools
from surehook.workers.metrics import WorkerMetrics

log = logging.getLogger(__name__)

# A lost job is noticed within this time, and queued again within 15 s even among 500,000 open events.
SWEEP_EVERY_SECONDS = 2.0
# One process of all sweeps at a time. It holds the lock until just before the next sweep, longer only while it looks
# up events.
LOCK_MS = 1_500
FEW_OPEN = 2_000
# The time between two sweeps that look up every event: a multiple of the time that the first took, within limits.
REST_FACTOR = 20
LEAST_REST_SECONDS, MOST_REST_SECONDS = 8, 300
MAX_LOGGED = 20


class Sweep:
    """Finds jobs that exist nowhere, and queues them again."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        registry: Registry,
        *,
        handler_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._store = store
        self._keys = keys
        self._queues = [EVENTS_QUEUE, *registry.queues]
        self._former = FormerQueues(store, keys, registry, handler_timeout=handler_timeout)
        self._lock, self._mark = Script("sweep_lock", keys), Script("sweep_mark", keys)
        self._rq_tools = RQTools(store, keys, handler_timeout=handler_timeout)
        self._stats = StatsReader(store, keys)
        self._lines = Lines(store, keys)
        self._scan = JobScan(store, keys, self._keep_lock)
        self._lost = MissingJobs(store, keys, handler_timeout=handler_timeout, on_page=self._keep_lock)

    def run(self) -> list[str]:
        """Sweep once. Returns the jobs that were queued again; none if another process is sweeping."""
        if not self._lock.run(self._store, LOCK_MS, *self._queues):
            return []
        self._rq_tools.put_right()
        for queue, count in self._former.drain().items():
            log.warning("jobs moved, their handler has no queue of its own now", extra={"queue": queue, "count": count})
        stats = self._stats.read()
        if stats.open > FEW_OPEN and text(self._store.get(self._keys.sweep_mark)) == str(stats.drift):
            return []
        started_at = self._clock()
        suspects = self._scan.run().suspects
        lost = self._lost.queue_again(suspects, since=stats.read_at)
        self._lines.mend([queue.name for queue in stats.queues])
        if len(suspects) < MAX_SUSPECTS:
            # The difference as it was at the start: a job lost since then changes it, and causes another sweep.
            self._mark.run(self._store, stats.drift + len(lost), rest_seconds(self._clock() - started_at))
        return lost

    def _keep_lock(self, _: int) -> None:
        self._store.pexpire(self._keys.sweep_lock, LOCK_MS)


def rest_seconds(sweep_seconds: float) -> int:
    """How long no full sweep follows one that took this long, while the counts do not change."""
    return round(min(max(REST_FACTOR * sweep_seconds, LEAST_REST_SECONDS), MOST_REST_SECONDS))


class Sweeper(PeriodicThread):
    """Sweeps while its worker process runs. It is a thread of its own, so that a long sweep delays no lease."""

    def __init__(self, sweep: Sweep, metrics: WorkerMetrics) -> None:
        super().__init__("sweeper", SWEEP_EVERY_SECONDS)
        self._sweep = sweep
        self._metrics = metrics

    def tick(self) -> None:
        lost = self._sweep.run()
        for _ in lost:
            self._metrics.swept.inc()
        for job_id in lost[:MAX_LOGGED]:
            log.warning("missing job queued again", extra={"job_id": job_id})
        if len(lost) > MAX_LOGGED:
            log.warning("missing jobs queued again", extra={"count": len(lost)})
