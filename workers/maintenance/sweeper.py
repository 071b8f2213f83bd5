"""The sweep: an open event that has no job anywhere is queued again, wherever it should stand.

Looking everything up costs seconds with half a million open events, so the counts are compared first, which costs next
to nothing: every transition is one script, so jobs minus open events is the same number at every instant until a job is
lost. Everything is looked up when that number changes, while there is little to look up, and every few minutes anyway.
"""

import logging
import threading
from collections.abc import Iterable

import redis
from redis.exceptions import RedisError

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text
from surehook.shared.stats import StatsReader
from surehook.workers.maintenance.job_index import MOST_SUSPECTS, JobScan
from surehook.workers.maintenance.missing_jobs import LostJobs
from surehook.workers.metrics import WorkerMetrics

log = logging.getLogger(__name__)

# Noticed within these, looked up twice and queued: within 15 s also with 500,000 open events.
LOOK_EVERY_SECONDS = 2.0
# One process in all looks: held until just before the next look is due, and longer only while one looks things up.
LOCK_MS = 1_500
LITTLE = 2_000
EVERYTHING_EVERY_SECONDS = 300
LOGGED_AT_MOST = 20


class Sweep:
    """Finds jobs that are nowhere, and queues them again."""

    def __init__(self, store: redis.Redis, keys: Keys, queues: Iterable[str], *, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._queues = [EVENTS_QUEUE, *queues]
        self._turn, self._mark = Script("sweep_lock", keys), Script("sweep_mark", keys)
        self._books = StatsReader(store, keys)
        self._census = JobScan(store, keys, self._keep_lock)
        self._lost = LostJobs(store, keys, handler_timeout=handler_timeout, on_page=self._keep_lock)

    def look(self) -> list[str]:
        """The jobs queued again. Nothing, too, when another process is looking."""
        if not self._turn.run(self._store, LOCK_MS, *self._queues):
            return []
        books = self._books.read()
        if books.open > LITTLE and text(self._store.get(self._keys.sweep_mark)) == str(books.drift):
            return []
        suspects = self._census.take().suspects
        lost = self._lost.queue_again(suspects, since=books.read_at)
        if len(suspects) < MOST_SUSPECTS:
            # What the counts said at the beginning: whatever was lost since then changes them once more.
            self._mark.run(self._store, books.drift + len(lost), EVERYTHING_EVERY_SECONDS)
        return lost

    def _keep_lock(self, _: int) -> None:
        self._store.pexpire(self._keys.sweep_lock, LOCK_MS)


class Sweeper(threading.Thread):
    """Sweeps for as long as its worker process works: a thread of its own, for a long look must delay no lease."""

    def __init__(self, sweep: Sweep, metrics: WorkerMetrics) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._sweep = sweep
        self._metrics = metrics
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()

    def run(self) -> None:
        while not self._done.wait(LOOK_EVERY_SECONDS):
            self.turn()

    def turn(self) -> None:
        """Look once. Whatever goes wrong, the next turn comes."""
        try:
            lost = self._sweep.look()
        except (RedisError, OSError):
            return  # the worker says that the store is away
        except Exception:
            log.exception("sweep failed")
            return
        for _ in lost:
            self._metrics.swept.inc()
        for job_id in lost[:LOGGED_AT_MOST]:
            log.warning("open event had no job, queued again", extra={"job_id": job_id})
        if len(lost) > LOGGED_AT_MOST:
            log.warning("open events had no job, queued again", extra={"count": len(lost)})
