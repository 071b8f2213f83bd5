"""The threads that run transactional events. They wait at the queue themselves, to lose no time."""

import logging
import threading
import time

from redis.exceptions import RedisError

from surehook.shared.backoff import pause_seconds
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.background import BackgroundThread
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.queue.threads import OVERRUN_SECONDS
from surehook.workers.slots import Slots
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.interruption import run_key
from surehook.workers.transactional.pool import HELD_UP_SECONDS, SlotPool
from surehook.workers.transactional.transaction import Transaction

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
MISSING_KEY_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0
CHECK_EVERY_SECONDS = 0.1


class SlotContext:
    """A slot, in which the supervisor sees a transaction, and the timeout of its handlers."""

    def __init__(self, slots: Slots, index: int) -> None:
        self.timeout = Timeout()
        self._slots = slots
        self._index = index

    def reserve(self, transaction: Transaction) -> None:
        self._slots.reserve(self._index, run_key(transaction))

    def start_run(self, deadline: float, thread: int = 0) -> None:
        self._slots.start(self._index, deadline + OVERRUN_SECONDS, thread)

    def finish_runs(self) -> None:
        """Ends the slot's deadline: the supervisor must not kill a process whose store is unavailable."""
        self._slots.ran(self._index)

    def free(self) -> None:
        self._slots.free(self._index)

    def is_ours(self) -> bool:
        """Returns True: no other worker takes over a transaction that runs."""
        return True


class TransactionThread(threading.Thread):
    """Claims, runs and settles transactions, one at a time or in batches; waits while another thread does all."""

    def __init__(self, name: str, executor: TransactionalExecutor, pool: SlotPool, report: StoreReport) -> None:
        super().__init__(name=name, daemon=True)
        self.error: BaseException | None = None
        self._executor = executor
        self._pool = pool
        self._report = report
        self._is_stopping = threading.Event()

    @property
    def finished(self) -> int:
        return self._executor.finished

    def stop(self) -> None:
        """Claims nothing more; the thread ends when no batch has a run left."""
        self._is_stopping.set()
        self._executor.stop()

    def run(self) -> None:
        self._pool.join()
        try:
            self._work()
        except BaseException as exc:
            log.exception("handler thread failed", extra={"queue": TRANSACTIONAL_QUEUE})
            self.error = exc
        finally:
            self._pool.leave()
            self._executor.close()

    def _work(self) -> None:
        failures = 0
        while not self._is_stopping.is_set() or self._pool.has_work:
            try:
                if self._executor.missing_key.is_paused():
                    self._is_stopping.wait(MISSING_KEY_SECONDS)
                self._executor.wait_for_turn()
                self._executor.run_until_idle(WAIT_SECONDS)
                if self._is_stopping.is_set() and self._pool.has_work:
                    time.sleep(HELD_UP_SECONDS)  # another thread's: this one takes it over if it is held up
            except (RedisError, OSError) as exc:
                self._report.failed(self.name, exc)
                pause = pause_seconds(
                    failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=LONGEST_BACKOFF_SECONDS
                )
                self._pool.leave()
                self._is_stopping.wait(pause)
                self._pool.join()
                failures += 1
            else:
                if self._executor.has_asked_store:
                    failures = 0
                    self._report.succeeded(self.name)


class HeldUpCheck(BackgroundThread):
    """Wakes the other threads when runs, or the thread that works for all, are held up."""

    def __init__(self, pool: SlotPool) -> None:
        super().__init__("held-up")
        self._pool = pool
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()

    def work(self) -> None:
        pool = self._pool
        while not self._done.wait(HELD_UP_SECONDS if pool.is_fast or pool.has_work else CHECK_EVERY_SECONDS):
            pool.help_if_held_up()
