"""Decides whether a job is finished, retried or a dead letter, and builds its acknowledgement."""

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from surehook.shared.errors import MalformedBody
from surehook.shared.log import TRACEBACK
from surehook.shared.models import parse_deep_event
from surehook.shared.scripts import Argument
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord, record_attempt
from surehook.workers.execution.masking.error_text import ErrorText, MaskedError, error_text, mask_error, release_frames
from surehook.workers.execution.run_log import run_facts
from surehook.workers.execution.runner import RunResult, RunStatus
from surehook.workers.handlers.errors import LONGEST_DELAY_SECONDS, RetryLater
from surehook.workers.handlers.registry import Handler
from surehook.workers.handlers.retry import FIRST_DELAY_SECONDS, RetryPolicy
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack

log = logging.getLogger(__name__)

NO_HANDLER = "-"
DEAD_LETTER = "dead letter"
# The letters with which the store settles a result: the claim was stale, the breaker is open, opens or closes.
REFUSED, KEPT, BREAKER_OPENED, BREAKER_CLOSED = "s", "k", "o", "c"


class Completion(NamedTuple):
    """An acknowledgement with the facts about the run behind it. A run's error would keep its frames alive."""

    ack: Ack
    attempt: AttemptRecord | None = None
    """None when no handler ran."""
    elapsed_seconds: float = 0.0
    error_type: str = ""
    traceback: str = ""
    """For the terminal of `surehook dev`."""
    delay_seconds: float | None = None
    is_discarded: bool = False
    """The handler was told that its lease is lost: its result does not count, even if the store accepts it."""
    breaker: str = ""
    """Set if this result opened or closed the breaker of the handler's queue."""


def completion_of(
    handler: Handler,
    claim: Claim,
    result: RunResult,
    finish_run: Callable[[], None],
    text: ErrorText | None = None,
    facts: bytes = b"",
) -> Completion:
    """Decides what a run's result means for its job: finished, retried or a dead letter.

    `finish_run` is called when no more of the user's code runs: masking may take long, and must not count as a run
    that does not stop at its timeout. `text` stands for that of the result's error, `facts` for those of the index.
    """
    if result.error is None:
        attempt = record_attempt(handler.name, claim.runs, result, result.status.value)
        completion = Completion(acks.finish(claim, "done", attempt, facts), attempt, result.elapsed_seconds)
    else:
        completion = _failure_of(handler, claim, result, result.error, finish_run, text)
    return completion if handler.limits is None else completion._replace(ack=_with_verdict(completion.ack, result))


def _failure_of(
    handler: Handler,
    claim: Claim,
    result: RunResult,
    error: BaseException,
    finish_run: Callable[[], None],
    known_text: ErrorText | None,
) -> Completion:
    delay = _delay_seconds(handler, claim, result)
    outcome = DEAD_LETTER if delay is None else result.status.value
    text = known_text or _text_of(handler, error)
    release_frames(error)
    finish_run()
    masked = _masked(handler, claim, text)
    attempt = record_attempt(handler.name, claim.runs, result, outcome, masked)
    if delay is None:
        ack = acks.bury(claim, attempt, masked.traceback, code=handler.code)
    else:
        spends_retry = result.status is not RunStatus.LATER
        ack = acks.retry(claim, attempt, masked.traceback, delay_seconds=delay, spends_retry=spends_retry)
    return Completion(ack, attempt, result.elapsed_seconds, type(error).__name__, masked.shown, delay)


def skipped(handler: Handler, claim: Claim, outcome: str) -> Completion:
    """The completion of a job that has no reason to run: `unchanged` or `outdated`."""
    attempt = AttemptRecord(handler.name, claim.runs, datetime.now(UTC), 0.0, outcome)
    return Completion(acks.skip(claim, attempt), attempt)


class Settled:
    """The completions that the store has settled, until they are logged and counted."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._completions: list[tuple[Completion, bool]] = []

    def add(self, completion: Completion, letter: str) -> None:
        """`letter`: how the store settled it."""
        self._completions.append((_settled(completion, letter), letter != REFUSED))

    def log(self) -> None:
        completions, self._completions = self._completions, []
        for completion, is_acknowledged in completions:
            log_completion(completion, self._metrics, is_acknowledged=is_acknowledged)
        if completions:
            self._metrics.flush()


def log_completion(completion: Completion, metrics: WorkerMetrics, *, is_acknowledged: bool) -> None:
    """Logs and counts a completion. `is_acknowledged`: the store accepted it, so the claim was still in force."""
    claim, attempt = completion.ack.claim, completion.attempt
    if attempt is None:
        if completion.ack.kind == acks.FINISH:
            metrics.count_unhandled(claim.event_type)
            facts = run_facts(claim, NO_HANDLER, "unhandled", claim.runs) | {"elapsed_ms": 0}
            log.info("event unhandled", extra=facts)
        return
    outcome = attempt.outcome
    if completion.is_discarded or not is_acknowledged:
        metrics.stale.inc()
        outcome = "discarded"
    message = "handler skipped" if completion.ack.kind == acks.SKIP else "handler ran"
    metrics.count(attempt.handler, claim, outcome, completion.elapsed_seconds)
    if claim.runs == 1 and claim.received_ms and not claim.is_replay:
        metrics.count_wait(attempt.started_at.timestamp() - claim.received_ms / 1000)
    facts = run_facts(claim, attempt.handler, outcome, claim.runs) | {"elapsed_ms": attempt.elapsed_ms}
    level = logging.INFO
    if completion.error_type:
        facts["error_type"], facts[TRACEBACK] = completion.error_type, completion.traceback
        level = logging.ERROR if completion.delay_seconds is None else logging.WARNING
    if completion.delay_seconds is not None:
        facts["delay_seconds"] = round(completion.delay_seconds, 1)
        if outcome != "discarded":
            metrics.count_retry(attempt.handler)
    _log_run(level, message, facts)
    if completion.breaker:
        facts = {"queue": claim.queue, "handler": attempt.handler}
        if completion.breaker == "opened":
            log.error("breaker opened", extra=facts)
        else:
            log.warning("breaker closed", extra=facts)


def _log_run(level: int, message: str, facts: dict[str, object]) -> None:
    """Logs without a search of the stack for the calling function, which is always this one."""
    if log.isEnabledFor(level):
        log.handle(log.makeRecord(log.name, level, __file__, 0, message, (), None, "log_completion", facts))


def _settled(completion: Completion, letter: str) -> Completion:
    """The completion as the store has settled it: while a breaker is open, a failure is no dead letter."""
    if letter == BREAKER_CLOSED:
        return completion._replace(breaker="closed")
    if letter not in (KEPT, BREAKER_OPENED) or completion.attempt is None:
        return completion
    outcome = completion.attempt.outcome.replace(DEAD_LETTER, RunStatus.FAILED.value)
    return completion._replace(
        attempt=completion.attempt._replace(outcome=outcome),
        delay_seconds=0.0,
        breaker="opened" if letter == BREAKER_OPENED else "",
    )


def _with_verdict(ack: Ack, result: RunResult) -> Ack:
    """Says what the result means for the limits of the handler's queue: the script's last argument."""
    verdict: Argument = "neither"  # `Permanent` and `RetryLater` are answers, not failures
    if result.status is RunStatus.DONE:
        verdict = "good"
    elif result.status in (RunStatus.FAILED, RunStatus.TIMED_OUT):
        verdict = "bad"
    elif isinstance(result.error, RetryLater) and result.error.everyone:
        verdict = ack.arguments[0]  # the delay
    return ack._replace(arguments=(*ack.arguments, verdict))


def _delay_seconds(handler: Handler, claim: Claim, result: RunResult) -> float | None:
    """Seconds until the next run; None for a dead letter."""
    if result.status is RunStatus.PERMANENT:
        return None
    try:
        if isinstance(result.error, RetryLater):
            return _requested_delay_seconds(result.error)
        return handler.policy.delay_after(claim.spent)
    except BaseException:  # user code: its failure must cost neither the event nor the process
        log.exception("backoff failed, default used", extra={"handler": handler.name})
        if result.status is RunStatus.LATER:
            return float(FIRST_DELAY_SECONDS)
        return RetryPolicy(handler.policy.retries).delay_after(claim.spent)


def _requested_delay_seconds(later: RetryLater) -> float:
    seconds = float(later.seconds)  # a subclass may have set it to anything
    if not math.isfinite(seconds):
        raise ValueError(f"RetryLater says {seconds} seconds")
    return min(max(0.0, seconds), LONGEST_DELAY_SECONDS)


def _text_of(handler: Handler, error: BaseException) -> ErrorText | str:
    """The error as text, or its type's name if that fails: a user's class may fail in any of its methods."""
    try:
        return error_text(error)
    except Exception:
        log.exception("error cannot be shown", extra={"handler": handler.name})
        return type(error).__name__


def _masked(handler: Handler, claim: Claim, text: ErrorText | str) -> MaskedError:
    if isinstance(text, str):
        return _not_shown(text)
    try:
        return mask_error(text, _event(claim))
    except Exception:
        log.exception("error cannot be shown", extra={"handler": handler.name})
        return _not_shown(text.type_name)


def _not_shown(type_name: str) -> MaskedError:
    text = f"{type_name} (the rest of it cannot be shown)\n"
    return MaskedError(type_name, text, text)


def _event(claim: Claim) -> dict[str, Any]:
    try:
        return parse_deep_event(claim.body)
    except MalformedBody:
        return {}
