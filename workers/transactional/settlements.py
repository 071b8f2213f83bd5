"""The outcomes that one thread reports: what the store has settled, and what is reported again."""

import logging
import time
from collections.abc import Sequence

from redis.exceptions import ResponseError

from surehook.shared.backoff import pause_seconds
from surehook.workers.connection import is_connection_at_fault
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.batch import NEVER, Batch, FinishedRun, RunSlot

log = logging.getLogger(__name__)

SETTLEMENT = "settlement"
LONGEST_BACKOFF_SECONDS = 0.5


class Settlements:
    """Outcomes are reported until the store has recorded them: only the store may decide if they were in time."""

    def __init__(self, batch: Batch, report: StoreReport) -> None:
        self._batch = batch
        self._report = report
        self.failures = 0
        """Packets in a row whose replies were lost."""
        self.refused: set[RunSlot] = set()
        """The slots of runs that the store does not settle."""

    def retry(self, finished: Sequence[FinishedRun], error: Exception) -> None:
        """Takes outcomes that may not be settled back into the batch, and pauses."""
        self._take_back(finished)
        if self.failures or not is_connection_at_fault(error):
            self._report.failed(SETTLEMENT, error, "txn_settle")
        self.pause(pause_seconds(self.failures, first_seconds=0.02, longest_seconds=LONGEST_BACKOFF_SECONDS))
        self.failures += 1

    def forget(self) -> None:
        """Called when the thread has no outcomes to report: another thread may have settled them."""
        self.failures, self.refused = 0, set()

    def pause(self, seconds: float = LONGEST_BACKOFF_SECONDS) -> None:
        self._batch.is_busy_from = time.monotonic()
        time.sleep(seconds)
        self._batch.is_busy_from = NEVER

    def note(self, finished: Sequence[FinishedRun], outcomes: Sequence[str | ResponseError]) -> Sequence[FinishedRun]:
        """Returns the runs that are settled. Those that the store refused are taken back, and reported again."""
        settled: list[FinishedRun] = []
        refused: list[FinishedRun] = []
        for run, final in zip(finished, outcomes, strict=True):
            if isinstance(final, ResponseError):
                refused.append(run)
                self._report.failed(SETTLEMENT, final, "txn_settle")
                continue
            settled.append(run)
            run.slot.context.free()
            if final != run.outcome.outcome:
                transaction = run.transaction
                facts = {"event_id": transaction.event_id, "event_type": transaction.event_type, "outcome": final}
                log.warning("outcome not used", extra=facts)
        if settled and not refused:
            self._report.succeeded(SETTLEMENT)
        self.failures, self.refused = 0, {run.slot for run in refused}
        self._take_back(refused)
        return settled

    def _take_back(self, finished: Sequence[FinishedRun]) -> None:
        now = time.monotonic()
        self._batch.finished += [run._replace(since=now) for run in finished]
