"""What happens to a claimed job: who wants its event, running that, and telling the store how it ended."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from redis.exceptions import RedisError

from shared.backoff import pause_seconds
from shared.errors import BodyDamaged, KeyMissing, MalformedBody
from shared.models import Event, event_from, parse_deep_event
from shared.vault import Vault
from workers.claims import AttemptRecord, Claim, Claims
from workers.dispatch import Dispatcher, Ending, Run
from workers.lacking import LackingKey
from workers.mask import Masker
from workers.metrics import WorkerMetrics
from workers.outcomes import RetryLater
from workers.registry import Handler, Registry
from workers.retry import RetryPolicy

log = logging.getLogger(__name__)

UNKNOWN_HANDLER_DELAY_SECONDS = 30.0
LONGEST_BACKOFF_SECONDS = 2.0
NOBODY = "-"


class Handling:
    """One claim at a time, from its event to its settlement."""

    def __init__(
        self,
        claims: Claims,
        registry: Registry,
        dispatcher: Dispatcher,
        metrics: WorkerMetrics,
        *,
        queue: str,
        grace_seconds: float,
        vault: Vault | None = None,
    ) -> None:
        self._claims = claims
        self._registry = registry
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._queue = queue
        self._grace_seconds = grace_seconds
        self._vault = vault or Vault()
        self.lacking = LackingKey(self._vault, claims.key_needed, metrics)
        self._give_up_at = float("inf")
        self._lost: set[str] = set()

    def hurry(self) -> None:
        """We are stopping: a store that is away is waited for no longer than the grace period."""
        self._give_up_at = time.monotonic() + self._grace_seconds

    def lose(self, claim: Claim) -> None:
        self._lost.add(claim.key)

    def handle(self, claim: Claim) -> None:
        if claim.handler_name:
            self._handle_part(claim)
            return
        wanted = (claim.event_type, claim.tenant_id, claim.application_id)
        wanting = self._registry.wanting(*wanted, as_fact=claim.as_fact)
        if not wanting:
            self._settle(lambda: self._claims.finish(claim, "unhandled", None))
            log.info("no handler wants this", extra=_facts(claim, NOBODY, "unhandled") | {"elapsed_ms": 0})
        elif len(wanting) == 1 and wanting[0].queue == self._queue:
            self._run(wanting[0], claim)
        else:
            parts = [(each.name, each.queue, self._dispatcher.timeout_of(each)) for each in wanting]
            self._settle(lambda: self._claims.fan_out(claim, parts))

    def _handle_part(self, claim: Claim) -> None:
        handler = self._registry.named(claim.handler_name)
        if handler is not None:
            self._run(handler, claim)
            return
        facts = {"job_id": claim.job_id, "handler": claim.handler_name}
        log.error("no such handler here, job given back", extra=facts)
        self._settle(lambda: self._claims.give_back(claim, delay_seconds=UNKNOWN_HANDLER_DELAY_SECONDS))

    def _run(self, handler: Handler, claim: Claim) -> None:
        try:
            claim = self._opened(claim)
            event = event_from(claim.event_id, claim.body)
        except KeyMissing as exc:
            self._settle(lambda: self._claims.give_back(claim, delay_seconds=0))
            self.lacking.meet(claim, exc.key_id)
            return
        except (MalformedBody, BodyDamaged) as exc:  # the record was changed by hand
            self._end(handler, claim, Run(Ending.PERMANENT, datetime.now(UTC), 0.0, exc))
            return
        self._note_misfits(handler, claim, event)
        self._lost.clear()
        run = self._dispatcher.run(handler, event, claim.runs, lambda: claim.key not in self._lost)
        self._end(handler, claim, run)

    def _note_misfits(self, handler: Handler, claim: Claim, event: Event) -> None:
        if not event.misfits:
            return
        self._metrics.count_untyped(claim.event_type)
        facts = _facts(claim, handler.name, "untyped") | {"fields": " ".join(event.misfits)}
        log.warning("event does not fit its type's model, handler gets a plain one", extra=facts)

    def _opened(self, claim: Claim) -> Claim:
        """The one place where a body is decrypted."""
        if not claim.key_id:
            return claim
        opened = replace(claim, body=self._vault.open(claim.body, claim.key_id), key_id="")
        self.lacking.opened()
        return opened

    def _end(self, handler: Handler, claim: Claim, run: Run) -> None:
        if run.error is None:
            record = _record(handler, claim, run, run.ending.value)
            is_settled = self._settle(
                lambda: self._claims.finish(claim, "done", record), lambda: self._claims.remembers(claim, record)
            )
            self._conclude(claim, record, run, is_settled=is_settled)
            return
        delay = _delay(handler, claim, run)
        masker = _masker(claim)
        outcome = "dead letter" if delay is None else run.ending.value
        record = _record(handler, claim, run, outcome, masker.error(run.error))
        traceback = masker.traceback_of(run.error)
        spends = run.ending is not Ending.LATER

        def transition() -> bool:
            if delay is None:
                return self._claims.bury(claim, record, traceback)
            return self._claims.retry(claim, record, traceback, delay_seconds=delay, spends_retry=spends)

        is_settled = self._settle(transition, lambda: self._claims.remembers(claim, record))
        self._conclude(claim, record, run, delay, is_settled=is_settled)

    def _settle(self, transition: Callable[[], bool], has_landed: Callable[[], bool] = lambda: False) -> bool:
        """Until the store has it: the handler has run, and only the store may decide whether that still counts.

        A repeated transition finds its claim gone when the first one landed and only its reply was lost.
        """
        failures = 0
        while True:
            try:
                return transition() or (failures > 0 and has_landed())
            except (RedisError, OSError) as exc:
                if not failures:
                    log.warning("store is away, result waits", extra={"error_type": type(exc).__name__})
                if time.monotonic() > self._give_up_at:
                    log.exception("store is away at the end, the run will be repeated")
                    return False
                time.sleep(pause_seconds(failures, first_seconds=0.1, longest_seconds=LONGEST_BACKOFF_SECONDS))
                failures += 1

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


def _delay(handler: Handler, claim: Claim, run: Run) -> float | None:
    """Seconds until the next run; None for a dead letter."""
    if isinstance(run.error, RetryLater):
        return run.error.seconds
    if run.ending is Ending.PERMANENT:
        return None
    try:
        return handler.policy.delay_after(claim.spent)
    except Exception:  # the user's backoff function; its failure must not cost the event
        log.exception("backoff failed, default taken", extra={"handler": handler.name})
        return RetryPolicy(handler.policy.retries).delay_after(claim.spent)


def _record(handler: Handler, claim: Claim, run: Run, outcome: str, error: str = "") -> AttemptRecord:
    elapsed_ms = round(run.elapsed_seconds * 1000, 1)
    return AttemptRecord(handler.name, claim.runs, run.began_at, elapsed_ms, outcome, error)


def _masker(claim: Claim) -> Masker:
    try:
        return Masker(parse_deep_event(claim.body))
    except MalformedBody:
        return Masker({})


def _facts(claim: Claim, handler: str, outcome: str) -> dict[str, object]:
    return {
        "event_type": claim.event_type,
        "event_id": claim.event_id,
        "handler": handler,
        "outcome": outcome,
        "attempt": claim.runs,
    }
