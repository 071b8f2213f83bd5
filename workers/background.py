"""The background threads of a worker process."""

import logging
import os
import threading
from abc import abstractmethod

from redis.exceptions import RedisError

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
            logging.shutdown()
            os._exit(1)


class PeriodicThread(threading.Thread):
    """Calls `tick` immediately and then every `seconds`, until `stop`. A tick that fails does not prevent the next."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name=name, daemon=True)
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
        """Tick; an error is logged. Returns whether the store was available."""
        try:
            self.tick()
        except (RedisError, OSError) as exc:
            # At DEBUG: the thread that claims events logs the outage once, for the whole process.
            log.debug("store unavailable", extra={"task": self.name, "error_type": type(exc).__name__})
            return False
        except Exception:
            log.exception("periodic task failed", extra={"task": self.name})
        return True

    def tick_soon(self) -> None:
        """Tick now instead of at the end of the interval."""
        self._wake_up.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake_up.set()
