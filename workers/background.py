"""Background threads without which a worker process must not go on."""

import logging
import os
import threading
from abc import abstractmethod

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
