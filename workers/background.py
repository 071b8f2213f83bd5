"""The background threads of a worker process."""

import logging
import threading
from abc import abstractmethod

from redis.exceptions import RedisError

from surehook.shared.child_processes import exit_now
from surehook.shared.errors import IncompatibleStore
from surehook.shared.exit_status import FAILED
from surehook.workers.store_report import StoreReport

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class BackgroundThread(threading.Thread):
    """A thread whose failure ends its process, so that the supervisor starts another.

    Without it the process would look healthy but run nothing, or stop nothing.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """The thread's work."""

    def run(self) -> None:
        try:
            self.work()
        except BaseException:
            log.exception("background thread failed, worker process ends")
            exit_now(FAILED)


class PeriodicThread(threading.Thread):
    """Calls `tick` immediately and then every `seconds`, until `stop`. A tick that fails does not prevent the next."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self.report = StoreReport()
        self._seconds = seconds
        self._is_stopping = False
        self._wake_up = threading.Event()

    @abstractmethod
    def tick(self) -> None:
        """One round of the work. It may raise what the store's client raises."""

    def run(self) -> None:
        while not self._is_stopping:
            self.try_tick()
            self._wake_up.wait(self._seconds)
            self._wake_up.clear()

    def try_tick(self) -> bool:
        """Tick; an error is reported. Returns whether the store was available."""
        try:
            self.tick()
        except (RedisError, OSError) as exc:
            self.report.failed(self.name, exc)
            return False
        except IncompatibleStore:
            return True  # the process ends, and says why
        except Exception as exc:  # noqa: BLE001 - reported, and the next tick may succeed
            self.report.broke(self.name, exc)
            return True
        self.report.succeeded(self.name)
        return True

    def tick_soon(self) -> None:
        """Tick now instead of at the end of the interval."""
        self._wake_up.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake_up.set()
