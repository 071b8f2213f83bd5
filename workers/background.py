"""Threads that a worker process cannot do without."""

import logging
import os
import threading
from abc import abstractmethod

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class BackgroundThread(threading.Thread):
    """If it breaks, its process ends at once and the parent starts another.

    A process that lived on would look well and do nothing, or stop nothing.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """What the thread does."""

    def run(self) -> None:
        try:
            self.work()
        except BaseException:
            log.exception("thread broke, its process ends")
            logging.shutdown()
            os._exit(1)
