"""One worker on one queue: an RQ worker to everything that looks at it, with our own loop inside."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import RedisError
from rq.suspension import is_suspended
from rq.worker import BaseWorker

from shared.errors import MalformedBody
from shared.events import Event, parse_event
from shared.keys import rq_queue
from workers.claims import AttemptRecord, Claim, Claims
from workers.dispatch import Dispatcher, Ending, Run
from workers.mask import Masker
from workers.metrics import WorkerMetrics
from workers.outcomes import RetryLater
from workers.registry import Handler, Registry

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
SUSPENDED_SECONDS = 0.5
UNKNOWN_HANDLER_DELAY_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 2.0
RQ_WORKER_TTL_SECONDS = 30
NOBODY = "-"


class Worker(BaseWorker):  # type: ignore[misc]
    """Registration, `rq info` and suspension are RQ's; taking, running and settling are ours."""

    def __init__(
        self,
        store: redis.Redis,
        queue: str,
        name: str,
        claims: Claims,
        registry: Registry,
        dispatcher: Dispatcher,
        metrics: WorkerMetrics,
    ) -> None:
        super().__init__([queue], name=name, connection=store, serializer="json", worker_ttl=RQ_WORKER_TTL_SECONDS)
        self._queue = queue
        self._claims = claims
        self._registry = registry
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._stopping = threading.Event()
        self._claim: Claim | None = None
        self._must_end_at: float | None = None
        self._lost: set[str] = set()

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        return connection  # RQ would raise the socket's timeout to minutes: a silent store must be noticed

    def stop(self, *_: Any) -> None:
        """Take no more. Fit for a signal handler: it only sets a flag."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def current(self) -> Claim | None:
        """The claim to keep alive; for the upkeep's thread."""
        return self._claim

    @property
    def must_end_at(self) -> float | None:
        """When the handler that runs just now is over its timeout (monotonic)."""
        return self._must_end_at

    def lose(self, claim_key: str) -> None:
        """The lease was taken over while the handler runs."""
        self._lost.add(claim_key)

    def work(self) -> None:
        """Take and run until told to stop. A store that is away is waited for."""
        failures = 0
        while not self.is_stopping:
            try:
                self.turn()
                if failures:
                    log.info("store is back", extra={"queue": self._queue})
                failures = 0
            except (RedisError, OSError) as exc:
                if not failures:
                    log.warning(
                        "store is away, waiting",
                        extra={"queue": self._queue, "error_type": type(exc).__name__},
                    )
                failures += 1
                self._stopping.wait(min(0.1 * 2**failures, LONGEST_BACKOFF_SECONDS))

    def turn(self) -> None:
        """Take one job and run it, or wait a little for one to come."""
        if is_suspended(self.connection):
            self._stopping.wait(SUSPENDED_SECONDS)
            return
        claim = self._claims.claim()
        if claim is None:
            # Waits without taking: the head goes back where it was, so a client that dies here holds nothing.
            key = rq_queue(self._queue)
            self.connection.blmove(key, key, WAIT_SECONDS, "LEFT", "LEFT")
            return
        self._claim = claim
        try:
            self._handle(claim)
        finally:
            self._claim = None

    def _handle(self, claim: Claim) -> None:
        if claim.handler_name:
            handler = self._registry.named(claim.handler_name)
            if handler is None:
                log.error("no such handler here, job given back",
                          extra={"job_id": claim.job_id, "handler": claim.handler_name})  # fmt: skip
                self._settle(lambda: self._claims.give_back(claim, delay_seconds=UNKNOWN_HANDLER_DELAY_SECONDS))
                return
            self._run(handler, claim)
            return
        wanting = self._registry.wanting(claim.event_type, claim.tenant_id, claim.application_id)
        if not wanting:
            self._settle(lambda: self._claims.finish(claim, "unhandled", None))
            log.info("no handler wants this", extra=_facts(claim, NOBODY, "unhandled") | {"elapsed_ms": 0})
        elif len(wanting) == 1 and wanting[0].queue == self._queue:
            self._run(wanting[0], claim)
        else:
            parts = [(each.name, each.queue, self._dispatcher.timeout_of(each)) for each in wanting]
            self._settle(lambda: self._claims.fan_out(claim, parts))

    def _run(self, handler: Handler, claim: Claim) -> None:
        try:
            event = Event(claim.event_id, claim.body)
        except MalformedBody as exc:  # the record was changed by hand
            self._end(handler, claim, Run(Ending.PERMANENT, datetime.now(UTC), 0.0, exc))
            return
        self._lost.clear()
        self._must_end_at = time.monotonic() + self._dispatcher.timeout_of(handler)
        try:
            run = self._dispatcher.run(handler, event, claim.runs, lambda: claim.key not in self._lost)
        finally:
            self._must_end_at = None
        self._end(handler, claim, run)

    def _end(self, handler: Handler, claim: Claim, run: Run) -> None:
        if run.error is None:
            record = _record(handler, claim, run, run.ending.value)
            is_settled = self._settle(lambda: self._claims.finish(claim, "done", record))
            self._conclude(claim, record, run, is_settled=is_settled)
            return
        delay = _delay(handler, claim, run)
        masker = _masker(claim)
        outcome = "dead letter" if delay is None else run.ending.value
        record = _record(handler, claim, run, outcome, masker.error(run.error))
        traceback = masker.traceback_of(run.error)
        if delay is None:
            is_settled = self._settle(lambda: self._claims.bury(claim, record, traceback))
        else:
            spends = run.ending is not Ending.LATER
            is_settled = self._settle(
                lambda: self._claims.retry(claim, record, traceback, delay_seconds=delay, spends_retry=spends)
            )
        self._conclude(claim, record, run, delay, is_settled=is_settled)

    def _settle(self, transition: Callable[[], bool]) -> bool:
        """Until the store has it: the handler has run, and only the store may decide whether that still counts."""
        failures = 0
        while True:
            try:
                return transition()
            except (RedisError, OSError) as exc:
                if not failures:
                    log.warning("store is away, result waits", extra={"error_type": type(exc).__name__})
                failures += 1
                time.sleep(min(0.05 * 2**failures, LONGEST_BACKOFF_SECONDS))

    def _conclude(
        self, claim: Claim, record: AttemptRecord, run: Run, delay: float | None = None, *, is_settled: bool
    ) -> None:
        outcome = record.outcome
        if not is_settled:
            self._metrics.stale.inc()
            outcome = "discarded"
        self._metrics.count(record.handler, claim, outcome, run.elapsed_seconds)
        facts = _facts(claim, record.handler, outcome) | {"elapsed_ms": record.elapsed_ms}
        if run.error is not None:
            facts["error_type"] = type(run.error).__name__
        if delay is not None:
            facts["delay_seconds"] = round(delay, 1)
        level = logging.INFO if run.error is None else logging.WARNING if delay is not None else logging.ERROR
        log.log(level, "handler ran", extra=facts)


def _facts(claim: Claim, handler: str, outcome: str) -> dict[str, object]:
    return {
        "event_type": claim.event_type,
        "event_id": claim.event_id,
        "handler": handler,
        "outcome": outcome,
        "attempt": claim.runs,
    }


def forget_worker(store: redis.Redis, name: str, queue: str) -> None:
    """Take a worker that was killed off RQ's lists at once, instead of when its key expires."""
    key = f"{BaseWorker.redis_worker_namespace_prefix}{name}"
    store.srem("rq:workers", key)
    store.srem(f"rq:workers:{queue}", key)
    store.delete(key, f"{key}:executions")


def _delay(handler: Handler, claim: Claim, run: Run) -> float | None:
    """Seconds until the next run; None for a dead letter."""
    if isinstance(run.error, RetryLater):
        return run.error.seconds
    if run.ending is Ending.PERMANENT:
        return None
    return handler.policy.delay_after(claim.spent)


def _record(handler: Handler, claim: Claim, run: Run, outcome: str, error: str = "") -> AttemptRecord:
    return AttemptRecord(handler.name, claim.runs, run.began_at, _elapsed_ms(run), outcome, error)


def _masker(claim: Claim) -> Masker:
    try:
        return Masker(parse_event(claim.body))
    except MalformedBody:
        return Masker({})


def _elapsed_ms(run: Run) -> float:
    return round(run.elapsed_seconds * 1000, 1)
