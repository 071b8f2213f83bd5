"""Fetches transactional events: each handler thread waits at the queue itself, to lose no time."""

import logging
import threading

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.queue.threads import OVERRUN_SECONDS
from surehook.workers.slots import Slots
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.interruption import run_key
from surehook.workers.transactional.transaction import Transaction

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
MISSING_KEY_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0


class SlotContext:
    """One thread's slot, in which its supervisor sees the transaction, and the thread's timeout."""

    def __init__(self, slots: Slots, index: int) -> None:
        self.timeout = Timeout()
        self._slots = slots
        self._index = index

    def reserve(self, transaction: Transaction) -> None:
        self._slots.reserve(self._index, run_key(transaction))

    def start_run(self, deadline: float) -> None:
        self._slots.start(self._index, deadline + OVERRUN_SECONDS)

    def finish_runs(self) -> None:
        """Ends the slot's deadline: the supervisor must not kill a process whose store is unavailable."""
        self._slots.ran(self._index)

    def free(self) -> None:
        self._slots.free(self._index)

    def is_ours(self) -> bool:
        """Returns True: no other worker takes over a transaction that runs."""
        return True


class TransactionThread(threading.Thread):
    """One RQ worker, which runs one transaction at a time."""

    def __init__(self, name: str, executor: TransactionalExecutor, context: SlotContext, report: StoreReport) -> None:
        super().__init__(name=name, daemon=True)
        self.context = context
        self.error: BaseException | None = None
        self._executor = executor
        self._report = report
        self._is_stopping = threading.Event()

    @property
    def finished(self) -> int:
        return self._executor.finished

    def stop(self) -> None:
        """Claims nothing more; the thread ends when its transaction is settled."""
        self._is_stopping.set()
        self._executor.stop()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as exc:
            log.exception("handler thread failed", extra={"queue": TRANSACTIONAL_QUEUE})
            self.error = exc
        finally:
            self._executor.close()

    def _work(self) -> None:
        failures = 0
        while not self._is_stopping.is_set():
            try:
                if self._executor.missing_key.is_paused():
                    self._is_stopping.wait(MISSING_KEY_SECONDS)
                    continue
                self._executor.run_until_idle(WAIT_SECONDS)
            except (RedisError, OSError) as exc:
                self._report.failed(self.name, exc)
                pause = pause_seconds(
                    failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=LONGEST_BACKOFF_SECONDS
                )
                self._is_stopping.wait(pause)
                failures += 1
            else:
                failures = 0
                self._report.succeeded(self.name)
