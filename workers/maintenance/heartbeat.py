"""What keeps a worker process's promises while handlers run: leases, due retries; and what becomes of a dead one's.

A thread of its own, so that a handler that computes or waits cannot stop it.
"""

import logging
import threading
import time
from datetime import UTC, datetime

import redis
from redis.exceptions import RedisError

from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.background import TICK_SECONDS
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import DUE_AT_ONCE, Claims, ClaimState, may_start_until
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.rq_worker import RQWorkers

log = logging.getLogger(__name__)

RENEW_EVERY_SECONDS = 3.0
FORGET_EVERY_SECONDS = 10.0


class Heartbeat(threading.Thread):
    """One per worker process."""

    def __init__(self, crew: RQWorkers, conveyor: Fetcher, claims: Claims, queue: str) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._crew = crew
        self._conveyor = conveyor
        self._claims = claims
        self._queue = queue
        self._done = threading.Event()
        self._next_renewal = self._next_forgetting = 0.0

    def stop(self) -> None:
        self._done.set()

    def run(self) -> None:
        self._tick_safely()  # at once: under RECYCLE_JOBS a process may live for less than a tick
        while not self._done.wait(TICK_SECONDS):
            self._tick_safely()

    def tick(self) -> None:
        """Whatever is due."""
        now = time.monotonic()
        if now >= self._next_renewal:
            self._renew()
            self._next_renewal = now + RENEW_EVERY_SECONDS
        self._move_due(until=now + TICK_SECONDS)
        if now >= self._next_forgetting:
            self._crew.forget_dead_workers()
            self._next_forgetting = now + FORGET_EVERY_SECONDS

    def _move_due(self, until: float) -> None:
        """All, as far as the time goes: after an outage thousands may be due; leases wait for none of them."""
        while self._claims.promote_due() == DUE_AT_ONCE and time.monotonic() < until:
            pass

    def _tick_safely(self) -> None:
        """Whatever goes wrong, the next tick comes."""
        try:
            self.tick()
        except (RedisError, OSError):
            return  # the conveyor says that the store is away
        except Exception:
            log.exception("upkeep failed", extra={"queue": self._queue})

    def _renew(self) -> None:
        self._crew.heartbeat()
        held = self._conveyor.jobs()
        if not held:
            return
        asked_at = time.monotonic()
        lost = self._claims.renew([each.claim.key for each in held])
        for each in held:
            if each.claim.key in lost:
                each.mark_lost()
            else:
                each.start_by = may_start_until(asked_at)


def interrupt(
    claims: Claims,
    registry: Registry,
    store: redis.Redis,
    keys: Keys,
    key: str,
    *,
    state: ClaimState = ClaimState.LAPSED,
    counts: bool = True,
) -> str:
    """Give back the job of a dead process, with a line in its event's history if it had begun.

    Returns requeued, buried, unharmed or stale.
    """
    job_id = key.rpartition(":")[0]
    event_id, handler = JobId.parse(job_id)
    event_type, tenant_id, application_id, runs, owner = texts(
        store.hmget(keys.event(event_id), "type", "tenant", "application", f"runs:{handler}", "handler")
    )
    handler = handler or owner
    if not handler:
        wanting = registry.for_event(event_type, tenant_id, application_id)
        handler = wanting[0].name if len(wanting) == 1 else ""
    attempt = AttemptRecord(handler, int(runs or 0), datetime.now(UTC), 0, "interrupted", "the process died")
    outcome = claims.interrupt(key, attempt, state=state, counts=counts)
    if outcome in ("requeued", "buried"):
        level = logging.ERROR if outcome == "buried" else logging.WARNING
        log.log(level, "run was interrupted", extra={"job_id": job_id, "handler": handler, "outcome": outcome})
    return outcome
