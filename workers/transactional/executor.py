"""The handlers of a transactional event: run in their order, in one go, until the first no or the deadline."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.models import Event, event_from, parse_deep_event
from surehook.workers.execution.attempts import AttemptRecord, record_attempt
from surehook.workers.execution.masking import Masker, one_line
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.run_log import run_facts, warn_of_untyped_fields
from surehook.workers.execution.runner import RunContext, Runner, RunResult, RunStatus
from surehook.workers.handlers.errors import Reject
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.transactional.protocol import Outcome, Transaction, TransactionProtocol, parts_of, undo_parts

log = logging.getLogger(__name__)

COMPLETED, REJECTED, FAILED = "completed", "rejected", "failed"
LONGEST_WORDS = 500
LONGEST_BACKOFF_SECONDS = 0.5


class TransactionContext(RunContext, Protocol):
    """Where handlers run, seen from outside: taken, begun, run, left."""

    def take(self, transaction: Transaction) -> None: ...

    def ran(self) -> None: ...

    def leave(self) -> None: ...


class TransactionalExecutor:
    """One transaction at a time: claim, run, settle. One of these for each thread that runs handlers."""

    def __init__(
        self,
        transactions: TransactionProtocol,
        registry: Registry,
        dispatcher: Runner,
        metrics: WorkerMetrics,
        seat: TransactionContext,
        *,
        handler_timeout: float,
        missing_key: MissingKey,
    ) -> None:
        self._transactions = transactions
        self._registry = registry
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._seat = seat
        self._handler_timeout = handler_timeout
        self.missing_key = missing_key
        self.ended = 0
        self._is_stopping = False
        self._untold: list[Callable[[], None]] = []
        self._is_sure = False
        """That we hold no claim whose reply was lost."""

    def stop(self) -> None:
        """Take no more."""
        self._is_stopping = True

    def close(self) -> None:
        self._transactions.close()

    def turn(self, wait_seconds: float) -> int:
        """Take what comes within so many seconds, and go on until nothing does. Returns how many have ended.

        Raises:
            RedisError, OSError: the store is away; the next turn finds what this one may have claimed.
        """
        is_sure, self._is_sure = self._is_sure, False
        transaction = self._transactions.wait(wait_seconds) if is_sure else self._transactions.claim()
        before = self.ended
        while transaction is not None:
            transaction = self._vote(transaction, wait_seconds)
            self.ended += 1
        self._is_sure = True
        return self.ended - before

    def _vote(self, transaction: Transaction, wait_seconds: float) -> Transaction | None:
        """RunResult and settle; returns the next one, which comes with the same trip."""
        self._seat.take(transaction)
        try:
            opened = self._opened(transaction)
        except KeyMissing as exc:
            self._transactions.give_back(transaction)
            self._seat.leave()
            self.missing_key.report(transaction, exc.key_id)
            return None
        verdict = self._sure_verdict(opened)
        self._seat.ran()
        return self._settle(transaction, verdict, wait_seconds)

    def _opened(self, transaction: Transaction) -> Transaction:
        """
        Raises:
            KeyMissing: nothing may run here.
        """
        if not transaction.key_id:
            return transaction
        try:
            body = self.missing_key.decrypt(transaction.body, transaction.key_id)
        except BodyDamaged:  # the record was changed by hand
            log.exception("body damaged, nothing runs", extra={"event_id": transaction.event_id})
            body = b""
        return replace(transaction, body=body, key_id="")

    def _sure_verdict(self, transaction: Transaction) -> Outcome:
        """What breaks here, over a strange object of a handler's, must not end a thread that others wait for."""
        try:
            return self.verdict(transaction)
        except Exception:
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type}
            log.exception("transaction broke, it counts as failed", extra=facts)
        wanted = (transaction.event_type, transaction.tenant_id, transaction.application_id)
        undo = undo_parts(self._registry.transactional_for(*wanted), self._handler_timeout)
        return Outcome(FAILED, is_unknown=True, undo=undo)

    def verdict(self, transaction: Transaction) -> Outcome:
        """What the handlers say, and what follows from it."""
        deadline = transaction.read_at + transaction.seconds_left
        wanted = (transaction.event_type, transaction.tenant_id, transaction.application_id)
        try:
            event = event_from(transaction.event_id, transaction.body)
        except MalformedBody:  # the record was changed by hand, or erased
            return Outcome(FAILED)
        if event.misfits:
            warn_of_untyped_fields(event, transaction, self._metrics)
        if not any(each.is_transactional and each.matches_type(transaction.event_type) for each in self._registry):
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type}
            log.error("no transactional handler here: ingest and workers disagree", extra=facts)
            return Outcome(FAILED)
        attempts: list[AttemptRecord] = []
        done: list[Handler] = []
        for handler in self._registry.transactional_for(*wanted):
            run = self._run(handler, event, deadline - time.monotonic())
            masker = None if run.error is None else Masker(parse_deep_event(transaction.body))
            record = _record(handler, run, masker)
            attempts.append(record)
            self._untold.append(partial(self._tell, transaction, handler, run, record))
            if masker is not None:
                return self._no(run.error, [*done, handler], attempts, masker)
            done.append(handler)
        return Outcome(
            COMPLETED,
            undo=undo_parts(done, self._handler_timeout),
            facts=parts_of(self._registry.for_event(*wanted), self._handler_timeout),
            attempts=tuple(attempts),
        )

    def _run(self, handler: Handler, event: Event, seconds_left: float) -> RunResult:
        seconds = min(self._dispatcher.timeout_of(handler), seconds_left)
        if seconds <= 0:
            return RunResult(RunStatus.FAILED, datetime.now(UTC), 0.0, TimeoutError("no time was left for it"))
        return self._dispatcher.run(replace(handler, timeout_seconds=seconds), event, 1, self._seat)

    def _no(
        self, error: BaseException | None, tried: list[Handler], attempts: list[AttemptRecord], masker: Masker
    ) -> Outcome:
        """The last one tried said no. Those before it have had their effect; of one that was cut off nobody knows."""
        is_unknown = attempts[-1].outcome == RunStatus.TIMED_OUT.value
        to_undo = tried if is_unknown else tried[:-1]
        undo = undo_parts(to_undo, self._handler_timeout)
        if isinstance(error, Reject):
            words = one_line(masker.mask(error.message)[:LONGEST_WORDS])
            return Outcome(REJECTED, words, undo=undo, attempts=tuple(attempts))
        return Outcome(FAILED, is_unknown=is_unknown, undo=undo, attempts=tuple(attempts))

    def _settle(self, transaction: Transaction, verdict: Outcome, wait_seconds: float) -> Transaction | None:
        """Until the store has it: the handlers have run, and only the store may decide whether that still counts.

        A process that is stopping insists too, until its grace period ends it.
        """
        failures, is_settled = 0, False

        def told(stands: str) -> None:
            nonlocal is_settled
            is_settled = True
            self._seat.leave()
            self._tell_all()
            if stands != verdict.outcome:
                facts = {"event_id": transaction.event_id, "event_type": transaction.event_type, "outcome": stands}
                log.warning("outcome came too late for its sender", extra=facts)

        while True:
            try:
                if self._is_stopping or failures or self.missing_key.is_paused():
                    told(self._transactions.settle(transaction, verdict))
                    return None
                return self._transactions.settle_and_wait(transaction, verdict, wait_seconds, told, self._tell_all)
            except (RedisError, OSError) as exc:
                if is_settled:
                    raise
                self._tell_all()
                if not failures:
                    log.warning("store is away, outcome waits", extra={"error_type": type(exc).__name__})
                time.sleep(pause_seconds(failures, first_seconds=0.02, longest_seconds=LONGEST_BACKOFF_SECONDS))
                failures += 1

    def _tell_all(self) -> None:
        """What ran is counted and logged while the store works: no sender waits for our log."""
        untold, self._untold = self._untold, []
        for tell in untold:
            tell()

    def _tell(self, transaction: Transaction, handler: Handler, run: RunResult, record: AttemptRecord) -> None:
        self._metrics.count(handler.name, transaction, record.outcome, run.elapsed_seconds)
        facts = run_facts(transaction, handler.name, record.outcome, 1) | {"elapsed_ms": record.elapsed_ms}
        if run.error is not None:
            facts["error_type"] = type(run.error).__name__
        is_wrong = run.error is not None and not isinstance(run.error, Reject)
        log.log(logging.WARNING if is_wrong else logging.INFO, "handler ran", extra=facts)


def _record(handler: Handler, run: RunResult, masker: Masker | None) -> AttemptRecord:
    outcome = REJECTED if isinstance(run.error, Reject) else run.status.value
    error = masker.error(run.error) if masker is not None and run.error is not None else ""
    return record_attempt(handler.name, 1, run, outcome, error)
