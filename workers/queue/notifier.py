"""Waits for new jobs in a queue without taking any, and notifies the fetcher."""

import threading
import time
from collections.abc import Callable

import redis
from redis.exceptions import OutOfMemoryError, RedisError

from surehook.shared.keys import Keys
from surehook.workers.background import BackgroundThread
from surehook.workers.store_report import StoreReport

WAIT_SECONDS = 1


class Notifier(BackgroundThread):
    """One per worker process. Each push to a queue wakes the notifiers of all its processes."""

    def __init__(self, store: redis.Redis, keys: Keys, queue: str) -> None:
        super().__init__("notifier")
        self.on_work: Callable[[], None] = lambda: None
        self.report = StoreReport()
        self._store = store
        self._key = keys.rq_queue(queue)
        self._is_requested = threading.Event()

    def request(self) -> None:
        """Asks for one call of `on_work`, as soon as the queue is not empty."""
        self._is_requested.set()

    def work(self) -> None:
        failures = 0
        while True:
            self._is_requested.wait()
            try:
                # The head goes back to its place, so a client that dies here loses nothing.
                moved = self._store.blmove(self._key, self._key, WAIT_SECONDS, "LEFT", "LEFT")
            except (RedisError, OSError) as exc:
                if not isinstance(exc, OutOfMemoryError):  # the fetcher makes room; only this wait needs some
                    self.report.failed(self.name, exc)
                if failures:  # it fails immediately, so do not try it in a loop; the fetcher looks now and then
                    time.sleep(WAIT_SECONDS)
                failures += 1
            else:
                failures = 0
                self.report.succeeded(self.name)
                if moved is None:
                    continue
            self._is_requested.clear()
            self.on_work()
