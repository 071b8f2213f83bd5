"""Renews the leases of a worker process and queues retries that are due.

It is a thread of its own, so that handlers that compute or wait cannot delay it.
"""

import time
from collections.abc import Callable, Iterable

from surehook.workers.background import TICK_SECONDS, PeriodicThread
from surehook.workers.queue.claims import DUE_AT_ONCE, Claims, may_start_until
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.threads import JobInProgress
from surehook.workers.rq_worker import RQWorkers

RENEW_EVERY_SECONDS = 3.0


class Heartbeat(PeriodicThread):
    """One per worker process."""

    def __init__(
        self,
        rq_workers: RQWorkers,
        fetcher: Fetcher,
        claims: Claims,
        limited: Iterable[Claims] = (),
        tend_limited: Callable[[], list[str]] = list,
    ) -> None:
        # It ticks at once, because a process under RECYCLE_JOBS may live for less than a second.
        super().__init__("heartbeat", TICK_SECONDS)
        self._rq_workers = rq_workers
        self._fetcher = fetcher
        self._claims, self._limited = claims, tuple(limited)
        self._tend_limited = tend_limited
        self._next_renewal = 0.0

    def tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_renewal:
            self._renew_leases()
            self._next_renewal = now + RENEW_EVERY_SECONDS
        self._promote_due(until=now + TICK_SECONDS)
        if self._limited and (ready := self._tend_limited()):
            self._fetcher.wake_up(*ready)
        self._rq_workers.keep_alive(now)

    def _promote_due(self, until: float) -> None:
        """Queue due retries until none is left or the time is over: thousands may be due after an outage."""
        while self._claims.promote_due() == DUE_AT_ONCE and time.monotonic() < until:
            pass

    def _renew_leases(self) -> None:
        jobs = self._fetcher.jobs()
        for claims in (self._claims, *self._limited):
            if mine := [job for job in jobs if job.claim.queue == claims.queue]:
                self._renew(claims, mine)

    def _renew(self, claims: Claims, jobs: list[JobInProgress]) -> None:
        asked_at = time.monotonic()
        lost = claims.renew([job.claim.key for job in jobs])
        for job in jobs:
            if job.claim.key in lost:
                job.mark_lost()
            else:
                job.start_by = may_start_until(asked_at)
