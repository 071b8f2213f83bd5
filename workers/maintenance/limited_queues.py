"""Tends the queues of handlers with limits, and empties those of handlers that have lost theirs."""

import time
from collections.abc import Mapping

import redis

from surehook.shared.keys import Keys
from surehook.shared.limits import Limits, handler_of, is_own_queue, served_with
from surehook.shared.scripts import Argument, Script, texts
from surehook.workers.background import TICK_SECONDS
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import DUE_AT_ONCE

MOVED_AT_ONCE = 100  # in a script, which blocks the store
MOST_MOVED = 1_000


class LimitedQueues:
    """The queues with limits that one worker process serves."""

    def __init__(self, store: redis.Redis, keys: Keys, limited: Mapping[str, Limits], handler_timeout: float) -> None:
        self._store = store
        self._script = Script("tend_limited", keys)
        queues = [word for queue, limits in limited.items() for word in (queue, limits.packed())]
        self._words: tuple[Argument, ...] = (DUE_AT_ONCE, f"{handler_timeout:g}", *queues)

    def tend(self) -> list[str]:
        """Queues due retries for at most a second, and returns the queues in which a job may start now."""
        until = time.monotonic() + TICK_SECONDS
        while True:
            ready, are_more = self._script.run(self._store, *self._words)
            if not are_more or time.monotonic() >= until:
                return texts(ready)


class FormerQueues:
    """The own queues of handlers that have none in this deployment: their jobs go where those handlers are served.

    Not while a worker of another deployment serves the queue: it empties it by itself.
    """

    def __init__(self, store: redis.Redis, keys: Keys, registry: Registry, *, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._registry = registry
        self._handler_timeout = f"{handler_timeout:g}"
        self._script = Script("move_queue", keys)

    def drain(self) -> dict[str, int]:
        """Moves waiting and scheduled jobs, many but not all of a long queue. Returns how many from each queue."""
        served = {handler.queue for handler in self._registry}
        moved: dict[str, int] = {}
        for queue in texts(self._store.smembers(self._keys.queues)):
            if is_own_queue(queue) and queue not in served and (count := self._move(queue)):
                moved[queue] = count
        return moved

    def _move(self, queue: str) -> int:
        handler = self._registry.named(handler_of(queue))
        target = served_with(queue) if handler is None else handler.queue
        count = 0
        while count < MOST_MOVED:
            moved = int(self._script.run(self._store, queue, target, MOVED_AT_ONCE, self._handler_timeout))
            count += moved
            if moved < MOVED_AT_ONCE:
                break
        return count
