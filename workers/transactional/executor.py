"""Runs the handlers of a transactional event in their order, until the first refusal or the deadline."""

import logging
import time
from datetime import UTC, datetime
from typing import Protocol

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.models import Event, event_from
from surehook.workers.connection import is_connection_at_fault
from surehook.workers.execution.attempts import AttemptRecord, record_attempt
from surehook.workers.execution.masking.error_text import MaskedError
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.run_log import warn_of_untyped_fields
from surehook.workers.execution.runner import RunContext, Runner, RunResult, RunStatus
from surehook.workers.handlers.errors import Reject
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.index_facts import IndexFacts, email_of
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.protocol import TransactionProtocol, jobs_of, undo_jobs
from surehook.workers.transactional.refusal import masked
from surehook.workers.transactional.transaction import Outcome, Transaction
from surehook.workers.transactional.unlogged_runs import UnloggedRun, UnloggedRuns

log = logging.getLogger(__name__)

COMPLETED, REJECTED, FAILED = "completed", "rejected", "failed"
SETTLEMENT = "settlement"
LONGEST_BACKOFF_SECONDS = 0.5


class TransactionContext(RunContext, Protocol):
    """The slot in which a thread shows its supervisor a transaction: reserved, started, finished, freed."""

    def reserve(self, transaction: Transaction) -> None: ...

    def finish_runs(self) -> None: ...

    def free(self) -> None: ...


class TransactionalExecutor:
    """Claims, runs and settles one transaction at a time. Each handler thread has its own."""

    def __init__(
        self,
        transactions: TransactionProtocol,
        registry: Registry,
        runner: Runner,
        metrics: WorkerMetrics,
        context: TransactionContext,
        *,
        handler_timeout: float,
        missing_key: MissingKey,
        report: StoreReport | None = None,
        index_facts: IndexFacts | None = None,
    ) -> None:
        self._transactions = transactions
        self._registry = registry
        self._runner = runner
        self._metrics = metrics
        self._context = context
        self._handler_timeout = handler_timeout
        self._report = report or StoreReport()
        self._index_facts = index_facts or IndexFacts()
        self.missing_key = missing_key
        self.finished = 0
        self._is_stopping = False
        self._unlogged = UnloggedRuns(metrics)
        # The reply to a claim may have been lost, or was in a packet with an outcome that was sent again.
        self._may_hold_claim, self._has_lost_packet = True, False

    def stop(self) -> None:
        """Claims nothing more."""
        self._is_stopping = True

    def close(self) -> None:
        self._transactions.close()

    def run_until_idle(self, wait_seconds: float) -> int:
        """Runs transactions until none comes within `wait_seconds`. Returns how many have finished.

        Raises:
            RedisError, OSError: the store is unavailable; the next call finds a claim whose reply was lost.
        """
        may_hold_claim, self._may_hold_claim = self._may_hold_claim, True
        transaction = self._transactions.claim() if may_hold_claim else None
        if transaction is None:  # waits in any case: a call that returns has found the store able to do all it needs
            transaction = self._transactions.wait(wait_seconds)
        before = self.finished
        while transaction is not None:
            transaction = self._execute(transaction, wait_seconds)
            self.finished += 1
        self._may_hold_claim, self._has_lost_packet = self._has_lost_packet, False
        return self.finished - before

    def _execute(self, transaction: Transaction, wait_seconds: float) -> Transaction | None:
        """Runs and settles a transaction; returns the next one, which comes with the same packet."""
        self._context.reserve(transaction)
        try:
            decrypted = self._decrypt(transaction)
        except KeyMissing as exc:
            self._transactions.give_back(transaction)
            self._context.free()
            self.missing_key.report(transaction, exc.key_id)
            return None
        outcome = self._decide_safely(decrypted)
        self._context.finish_runs()
        return self._settle(transaction, outcome, wait_seconds)

    def _decrypt(self, transaction: Transaction) -> Transaction:
        """
        Raises:
            KeyMissing: no handler may run here.
        """
        if not transaction.key_id:
            return transaction
        try:
            body = self.missing_key.decrypt(transaction.body, transaction.key_id)
        except BodyDamaged:  # the record was changed by hand
            log.exception("body damaged, no handler runs", extra={"event_id": transaction.event_id})
            body = b""
        return transaction._replace(body=body, key_id="")

    def _decide_safely(self, transaction: Transaction) -> Outcome:
        """Decides, and turns any error into a failure, because no object of a handler may end its thread."""
        try:
            return self.decide(transaction)
        except Exception:
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type}
            log.exception("transaction failed with an internal error", extra=facts)
        subject = (transaction.event_type, transaction.tenant_id, transaction.application_ids)
        undo = undo_jobs(self._registry.transactional_for(*subject), self._handler_timeout)
        return Outcome(FAILED, is_unknown=True, undo_jobs=undo)

    def decide(self, transaction: Transaction) -> Outcome:
        """Runs the handlers, and returns their outcome with the jobs that follow from it."""
        deadline = transaction.read_at + transaction.seconds_left
        subject = (transaction.event_type, transaction.tenant_id, transaction.application_ids)
        try:
            event = event_from(transaction.event_id, transaction.body)
        except MalformedBody:  # the record was changed by hand, or erased
            return Outcome(FAILED)
        if event.misfits:
            warn_of_untyped_fields(event, transaction, self._metrics)
        handlers = self._registry.transactional_for(*subject)
        if not handlers and not any(
            each.is_transactional and each.matches_type(transaction.event_type) for each in self._registry
        ):
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type}
            log.error("no transactional handler for this type, ingest and workers disagree", extra=facts)
            return Outcome(FAILED)
        # Only the event's record knows the handlers that follow.
        row = self._index_facts.of(transaction, None, email_of(event))
        attempts: list[AttemptRecord] = []
        done: list[Handler] = []
        for handler in handlers:
            run = self._run(handler, event, deadline - time.monotonic())
            error, reason = masked(run.error, transaction.body, self._context.finish_runs)
            record = _record(handler, run, error)
            attempts.append(record)
            self._unlogged.add(UnloggedRun(transaction, handler, run, record, error.shown))
            if run.error is not None:
                return self._refusal(run.error, reason, [*done, handler], attempts, row)
            done.append(handler)
        return Outcome(
            COMPLETED,
            undo_jobs=undo_jobs(done, self._handler_timeout),
            commit_jobs=jobs_of(self._registry.for_event(*subject), self._handler_timeout),
            attempts=tuple(attempts),
            facts=row,
        )

    def _run(self, handler: Handler, event: Event, seconds_left: float) -> RunResult:
        if seconds_left <= 0:
            error = TimeoutError("no time was left before the deadline")
            return RunResult(RunStatus.FAILED, datetime.now(UTC), 0.0, error)
        return self._runner.run(handler, event, 1, self._context, at_most_seconds=seconds_left)

    def _refusal(
        self, error: BaseException, reason: str, tried: list[Handler], attempts: list[AttemptRecord], facts: bytes
    ) -> Outcome:
        """The outcome when the last handler tried did not return. The earlier ones had their effect, which is undone.

        The effect of a handler that was cut off is unknown, so it is undone as well.
        """
        is_unknown = attempts[-1].outcome == RunStatus.TIMED_OUT.value
        to_undo = tried if is_unknown else tried[:-1]
        undo = undo_jobs(to_undo, self._handler_timeout)
        if isinstance(error, Reject):
            return Outcome(REJECTED, reason, undo_jobs=undo, attempts=tuple(attempts), facts=facts)
        return Outcome(FAILED, is_unknown=is_unknown, undo_jobs=undo, attempts=tuple(attempts), facts=facts)

    def _settle(self, transaction: Transaction, outcome: Outcome, wait_seconds: float) -> Transaction | None:
        """Reports the outcome until the store has recorded it: only the store may decide if it was in time.

        A process that is stopping does so, too, until its grace period ends. Returns the next transaction.
        """
        failures = 0
        while True:
            is_last = bool(self._is_stopping or failures or self.missing_key.is_paused())
            try:
                if is_last:
                    final = self._transactions.settle(transaction, outcome)
                else:
                    self._transactions.send_outcome(transaction, outcome, wait_seconds)
                    self._unlogged.log()
                    final = self._transactions.read_final_outcome(transaction, outcome)
                break
            except (RedisError, OSError) as exc:
                self._unlogged.log()
                if failures or not is_connection_at_fault(exc):
                    self._report.failed(SETTLEMENT, exc, "txn_settle")
                time.sleep(pause_seconds(failures, first_seconds=0.02, longest_seconds=LONGEST_BACKOFF_SECONDS))
                failures += 1
        if failures:
            self._has_lost_packet = True
            self._report.succeeded(SETTLEMENT)
        self._context.free()
        self._unlogged.log()
        if final != outcome.outcome:
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type, "outcome": final}
            log.warning("outcome not used", extra=facts)
        return None if is_last else self._transactions.read_claim()


def _record(handler: Handler, run: RunResult, error: MaskedError) -> AttemptRecord:
    outcome = REJECTED if isinstance(run.error, Reject) else run.status.value
    return record_attempt(handler.name, 1, run, outcome, error)
