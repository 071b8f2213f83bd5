"""Decides a transaction: runs its handlers in their order, until the first refusal or the deadline."""

import logging
import time
from datetime import UTC, datetime

from surehook.shared.errors import BodyDamaged, MalformedBody
from surehook.shared.models import Event, event_from
from surehook.workers.execution.attempts import AttemptRecord, record_attempt
from surehook.workers.execution.masking.error_text import MaskedError
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.run_log import warn_of_untyped_fields
from surehook.workers.execution.runner import Runner, RunResult, RunStatus
from surehook.workers.handlers.errors import Reject
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.index_facts import IndexFacts, email_of
from surehook.workers.transactional.batch import TransactionContext
from surehook.workers.transactional.protocol import jobs_of, undo_jobs
from surehook.workers.transactional.refusal import masked
from surehook.workers.transactional.transaction import Outcome, Transaction
from surehook.workers.transactional.unlogged_runs import UnloggedRun, UnloggedRuns

log = logging.getLogger(__name__)

COMPLETED, REJECTED, FAILED = "completed", "rejected", "failed"


class Decider:
    """Decides transactions in one thread.

    `unlogged` logs and counts their runs later: when this thread next talks to the store, also if another thread has
    settled them.
    """

    def __init__(
        self,
        registry: Registry,
        runner: Runner,
        metrics: WorkerMetrics,
        *,
        handler_timeout: float,
        missing_key: MissingKey,
        index_facts: IndexFacts | None = None,
    ) -> None:
        self._registry = registry
        self._runner = runner
        self._metrics = metrics
        self._handler_timeout = handler_timeout
        self._missing_key = missing_key
        self._index_facts = index_facts or IndexFacts()
        self.unlogged = UnloggedRuns(metrics)
        self.handler_seconds = 0.0
        """How long the handlers of the last transaction ran."""

    def decide_safely(self, transaction: Transaction, context: TransactionContext) -> Outcome:
        """Decrypts and decides. Any other error is a failure: no object of a handler may end its thread.

        Raises:
            KeyMissing: no handler may run here.
        """
        transaction = self._decrypt(transaction)
        self.handler_seconds = 0.0
        try:
            return self.decide(transaction, context)
        except Exception:
            facts = {"event_id": transaction.event_id, "event_type": transaction.event_type}
            log.exception("transaction failed with an internal error", extra=facts)
        subject = (transaction.event_type, transaction.tenant_id, transaction.application_ids)
        undo = undo_jobs(self._registry.transactional_for(*subject), self._handler_timeout)
        return Outcome(FAILED, is_unknown=True, undo_jobs=undo)

    def _decrypt(self, transaction: Transaction) -> Transaction:
        """
        Raises:
            KeyMissing: no handler may run here.
        """
        if not transaction.key_id:
            return transaction
        try:
            body = self._missing_key.decrypt(transaction.body, transaction.key_id)
        except BodyDamaged:  # the record was changed by hand
            log.exception("body damaged, no handler runs", extra={"event_id": transaction.event_id})
            body = b""
        return transaction._replace(body=body, key_id="")

    def decide(self, transaction: Transaction, context: TransactionContext) -> Outcome:
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
            run = self._call(handler, event, deadline - time.monotonic(), context)
            self.handler_seconds += run.elapsed_seconds
            error, reason = masked(run.error, transaction.body, context.finish_runs)
            record = _record(handler, run, error)
            attempts.append(record)
            self.unlogged.add(UnloggedRun(transaction, handler, run, record, error.shown))
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

    def _call(self, handler: Handler, event: Event, seconds_left: float, context: TransactionContext) -> RunResult:
        if seconds_left <= 0:
            error = TimeoutError("no time was left before the deadline")
            return RunResult(RunStatus.FAILED, datetime.now(UTC), 0.0, error)
        return self._runner.run(handler, event, 1, context, at_most_seconds=seconds_left)

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


def _record(handler: Handler, run: RunResult, error: MaskedError) -> AttemptRecord:
    outcome = REJECTED if isinstance(run.error, Reject) else run.status.value
    return record_attempt(handler.name, 1, run, outcome, error)
