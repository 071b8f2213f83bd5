"""The runs of transactional handlers that are not yet counted and logged: no sender waits for our log."""

import logging
from typing import NamedTuple

from surehook.shared.log import TRACEBACK
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.execution.run_log import run_facts
from surehook.workers.execution.runner import RunResult
from surehook.workers.handlers.errors import Reject
from surehook.workers.handlers.registry import Handler
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.transactional.transaction import Transaction

log = logging.getLogger(__name__)


class UnloggedRun(NamedTuple):
    """One run of a handler."""

    transaction: Transaction
    handler: Handler
    run: RunResult
    record: AttemptRecord
    traceback: str


class UnloggedRuns:
    """Used by one thread."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._runs: list[UnloggedRun] = []

    def add(self, run: UnloggedRun) -> None:
        self._runs.append(run)

    def log(self) -> None:
        """Counts and logs them. Called while the store works."""
        runs, self._runs = self._runs, []
        for run in runs:
            self._log(run)
        if runs:
            self._metrics.flush()

    def _log(self, unlogged: UnloggedRun) -> None:
        transaction, handler, run, record, traceback = unlogged
        self._metrics.count(handler.name, transaction, record.outcome, run.elapsed_seconds)
        facts = run_facts(transaction, handler.name, record.outcome, 1) | {"elapsed_ms": record.elapsed_ms}
        if run.error is not None:
            facts["error_type"], facts[TRACEBACK] = type(run.error).__name__, traceback
        is_failure = run.error is not None and not isinstance(run.error, Reject)
        log.log(logging.WARNING if is_failure else logging.INFO, "handler ran", extra=facts)
