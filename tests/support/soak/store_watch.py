"""Watches the store of a soak: its memory, the events that wait in it, and when it is away."""

import threading
import time
from pathlib import Path

import redis

from surehook.shared.embedded import socket_path
from tests.support.soak.journal import STORE
from tests.support.soak.senders import Senders

EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 0.5
MOST_WAITING = 20_000
QUEUES = ("rq:queue:events", "rq:queue:slow")


class StoreWatch(threading.Thread):
    """Holds the senders while many events wait, and notes in their journal from when until when the store was away."""

    def __init__(self, data: Path, senders: Senders) -> None:
        super().__init__(name="store watch", daemon=True)
        self.highest_bytes = 0
        self._data = data
        self._senders = senders
        self._is_over = threading.Event()

    def run(self) -> None:
        path = str(socket_path(self._data))
        seen_at, is_away = time.monotonic(), False
        with redis.Redis(unix_socket_path=path, socket_timeout=TIMEOUT_SECONDS, protocol=2) as store:
            while not self._is_over.wait(EVERY_SECONDS):
                try:
                    self._senders.is_held = sum(int(store.llen(queue)) for queue in QUEUES) > MOST_WAITING
                    self.highest_bytes = max(self.highest_bytes, used_bytes(store))
                except (redis.RedisError, OSError):
                    is_away = True
                    continue
                if is_away:
                    self._senders.journal.away(STORE, seen_at, time.monotonic())
                seen_at, is_away = time.monotonic(), False

    def stop(self) -> None:
        self._is_over.set()
        self.join()


def used_bytes(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])
