"""Waits for work without taking any."""

import logging
import threading
import time
from collections.abc import Callable

import redis
from redis.exceptions import OutOfMemoryError, RedisError

from surehook.shared.keys import rq_queue
from surehook.workers.background import BackgroundThread

log = logging.getLogger(__name__)

WAIT_SECONDS = 1


class Notifier(BackgroundThread):
    """One per worker process: each push to a queue wakes every waiter on it."""

    def __init__(self, store: redis.Redis, queue: str) -> None:
        super().__init__("waiter")
        self.when_found: Callable[[], None] = lambda: None
        self._store = store
        self._key = rq_queue(queue)
        self._is_asked = threading.Event()

    def ask(self) -> None:
        """Say once when there is something in the queue."""
        self._is_asked.set()

    def work(self) -> None:
        while True:
            self._is_asked.wait()
            try:
                # The head goes back where it was, so a client that dies here holds nothing.
                if self._store.blmove(self._key, self._key, WAIT_SECONDS, "LEFT", "LEFT") is None:
                    continue
            except OutOfMemoryError:
                # To a full store moving is writing, and it refuses at once: so look only now and then.
                time.sleep(WAIT_SECONDS)
            except (RedisError, OSError):
                pass  # whoever looks next finds out, and says so
            self._is_asked.clear()
            self.when_found()
