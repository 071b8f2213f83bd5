"""Watches the store of a soak: its memory, and the events that wait in it."""

import threading
from contextlib import suppress
from pathlib import Path

import redis

from surehook.shared.embedded import socket_path
from tests.support.soak.senders import Senders

EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 0.5
MOST_WAITING = 20_000
QUEUES = ("rq:queue:events", "rq:queue:slow")


class StoreWatch(threading.Thread):
    """Holds the senders while many events wait."""

    def __init__(self, data: Path, senders: Senders) -> None:
        super().__init__(name="store watch", daemon=True)
        self.highest_bytes = 0
        self._data = data
        self._senders = senders
        self._is_over = threading.Event()

    def run(self) -> None:
        path = str(socket_path(self._data))
        with redis.Redis(unix_socket_path=path, socket_timeout=TIMEOUT_SECONDS, protocol=2) as store:
            while not self._is_over.wait(EVERY_SECONDS):
                with suppress(redis.RedisError, OSError):
                    self._senders.is_held = sum(int(store.llen(queue)) for queue in QUEUES) > MOST_WAITING
                    self.highest_bytes = max(self.highest_bytes, used_bytes(store))

    def stop(self) -> None:
        self._is_over.set()
        self.join()


def used_bytes(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])
