"""What happens to a claimed job: who wants its event, running that, and the note that tells the store how it ended."""

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.models import Event, event_from, parse_deep_event
from surehook.shared.transactional_events import TransactionalTypes, may_wait_for
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.execution.masking import Masker
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import RunContext, Runner, RunResult, RunStatus
from surehook.workers.handlers.errors import LONGEST_DELAY_SECONDS, RetryLater
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.handlers.retry import FIRST_DELAY_SECONDS, RetryPolicy
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack

log = logging.getLogger(__name__)

UNKNOWN_HANDLER_DELAY_SECONDS = 30.0
NOBODY = "-"


def _nothing_to_say(_: bool) -> None:  # noqa: FBT001 - stands where a conclusion does
    pass


class Completion(NamedTuple):
    """What the store shall do with a claim, and what to do ourselves once it has said whether it did."""

    note: Ack
    conclude: Callable[[bool], None] = _nothing_to_say


class JobExecutor:
    """One claim, from its event to the note that settles it. Talks to no store."""

    def __init__(
        self,
        registry: Registry,
        dispatcher: Runner,
        metrics: WorkerMetrics,
        *,
        queue: str,
        vault: BodyCipher,
        lacking: MissingKey,
        types: TransactionalTypes,
    ) -> None:
        self._registry = registry
        self._has_voters = any(handler.is_transactional for handler in registry)
        self._types = types
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._queue = queue
        self._vault = vault
        self._lacking = lacking

    def handle(self, claim: Claim, place: RunContext) -> Completion:
        if claim.handler_name:
            return self._handle_part(claim, place)
        wanted = (claim.event_type, claim.tenant_id, claim.application_id)
        wanting = self._registry.wanting(*wanted, as_fact=claim.as_fact)
        if self._has_voters and not claim.as_fact and not claim.was_asked:
            self._note_unasked(claim)
        if not wanting:
            facts = _facts(claim, NOBODY, "unhandled") | {"elapsed_ms": 0}
            return Completion(
                acks.finish(claim, "unhandled", None),
                lambda _: log.info("no handler wants this", extra=facts),
            )
        if len(wanting) == 1 and wanting[0].queue == self._queue:
            return self._run(wanting[0], claim, place)
        parts = [(each.name, each.queue, self._dispatcher.timeout_of(each)) for each in wanting]
        return Completion(acks.fan_out(claim, parts))

    def _note_unasked(self, claim: Claim) -> None:
        """Its sender was told yes without them, so they do not run: nobody waits for what they say."""
        if not may_wait_for(claim.event_type):
            return
        if self._types.entries and not self._types.include(claim.event_type, claim.tenant_id):
            return  # as intended: listed for other tenants, or for other types of a pattern
        for handler in self._registry.voting(claim.event_type, claim.tenant_id, claim.application_id):
            self._metrics.count_unasked(handler.name, claim.event_type)
            log.error(
                "transactional handler was not asked, the event came as an ordinary one: set "
                "SUREHOOK_TRANSACTIONAL_EVENTS to the same for ingest and workers",
                extra=_facts(claim, handler.name, "unasked"),
            )

    def _handle_part(self, claim: Claim, place: RunContext) -> Completion:
        handler = self._registry.named(claim.handler_name)
        if handler is not None:
            return self._run(handler, claim, place)
        facts = {"job_id": claim.job_id, "handler": claim.handler_name}
        log.error("no such handler here, job given back", extra=facts)
        return Completion(acks.give_back(claim, delay_seconds=UNKNOWN_HANDLER_DELAY_SECONDS))

    def _run(self, handler: Handler, claim: Claim, place: RunContext) -> Completion:
        try:
            claim = self._opened(claim)
            event = event_from(claim.event_id, claim.body)
        except KeyMissing as exc:
            self._lacking.meet(claim, exc.key_id)
            return Completion(acks.give_back(claim))
        except (MalformedBody, BodyDamaged) as exc:  # the record was changed by hand
            return self._end(handler, claim, RunResult(RunStatus.PERMANENT, datetime.now(UTC), 0.0, exc))
        self._note_misfits(handler, claim, event)
        return self._end(handler, claim, self._dispatcher.run(handler, event, claim.runs, place))

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
        opened = claim._replace(body=self._vault.open(claim.body, claim.key_id), key_id="")
        self._lacking.opened()
        return opened

    def _end(self, handler: Handler, claim: Claim, run: RunResult) -> Completion:
        if run.error is None:
            record = _record(handler, claim, run, run.ending.value)
            return self._settled(acks.finish(claim, "done", record), claim, record, run)
        delay = _delay(handler, claim, run)
        outcome = "dead letter" if delay is None else run.ending.value
        words, traceback = _shown(handler, claim, run.error)
        record = _record(handler, claim, run, outcome, words)
        if delay is None:
            return self._settled(acks.bury(claim, record, traceback), claim, record, run)
        spends = run.ending is not RunStatus.LATER
        note = acks.retry(claim, record, traceback, delay_seconds=delay, spends_retry=spends)
        return self._settled(note, claim, record, run, delay)

    def _settled(
        self, note: Ack, claim: Claim, record: AttemptRecord, run: RunResult, delay: float | None = None
    ) -> Completion:
        # Only what the lines need: a run's error would keep all its frames alive.
        error_type = "" if run.error is None else type(run.error).__name__
        elapsed_seconds = run.elapsed_seconds

        def conclude(is_done: bool) -> None:  # noqa: FBT001 - the store's answer
            outcome = record.outcome
            if not is_done:
                self._metrics.stale.inc()
                outcome = "discarded"
            self._metrics.count(record.handler, claim, outcome, elapsed_seconds)
            facts = _facts(claim, record.handler, outcome) | {"elapsed_ms": record.elapsed_ms}
            if error_type:
                facts["error_type"] = error_type
            if delay is not None:
                facts["delay_seconds"] = round(delay, 1)
            level = logging.INFO if not error_type else logging.WARNING if delay is not None else logging.ERROR
            log.log(level, "handler ran", extra=facts)

        return Completion(note, conclude)


def _delay(handler: Handler, claim: Claim, run: RunResult) -> float | None:
    """Seconds until the next run; None for a dead letter."""
    if run.ending is RunStatus.PERMANENT:
        return None
    try:
        if isinstance(run.error, RetryLater):
            return _put_off(run.error)
        return handler.policy.delay_after(claim.spent)
    except BaseException:  # the user's function or class; its failure must not cost the event, nor the process
        log.exception("backoff failed, default taken", extra={"handler": handler.name})
        if run.ending is RunStatus.LATER:
            return float(FIRST_DELAY_SECONDS)
        return RetryPolicy(handler.policy.retries).delay_after(claim.spent)


def _put_off(later: RetryLater) -> float:
    seconds = float(later.seconds)  # a subclass may have put there what it liked
    if not math.isfinite(seconds):
        raise ValueError(f"RetryLater says {seconds} seconds")
    return min(max(0.0, seconds), LONGEST_DELAY_SECONDS)


def _shown(handler: Handler, claim: Claim, error: BaseException) -> tuple[str, str]:
    """In one line, and as a traceback, both masked."""
    try:
        masker = _masker(claim)
        return masker.error(error), masker.traceback_of(error)
    except Exception:  # the user's class again
        log.exception("error cannot be shown", extra={"handler": handler.name})
        name = type(error).__name__
        return name, f"{name} (the rest of it cannot be shown)\n"


def _record(handler: Handler, claim: Claim, run: RunResult, outcome: str, error: str = "") -> AttemptRecord:
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
