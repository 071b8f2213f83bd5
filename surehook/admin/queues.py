"""Lists, pauses and resumes queues, and changes the limits of handlers' own queues."""

from typing import Any

import redis

from surehook.shared.errors import Misconfigured, NotFound
from surehook.shared.keys import Keys
from surehook.shared.limits import OFF, interval_ms, is_own_queue, own_queue
from surehook.shared.scripts import Script
from surehook.shared.stats import LimitState, QueueStats, Stats, StatsReader


class Queues:
    """The queues that have or had jobs of Surehook."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._stats = StatsReader(store, keys)

    def all(self) -> tuple[QueueStats, ...]:
        return self.read().queues

    def read(self) -> Stats:
        return self._stats.read()

    def pause(self, name: str) -> bool:
        """Stops workers from fetching from it. Returns False if it was paused already."""
        self._require_known(name)
        return bool(self._store.sadd(self._keys.paused, name))

    def resume(self, name: str) -> bool:
        """Lets workers fetch from it again, and forgets a handler's pause and an open breaker.

        Returns False if nothing held it back.
        """
        was_paused = bool(self._store.srem(self._keys.paused, name))
        if not was_paused:
            self._require_known(name)
        if not is_own_queue(name):
            return was_paused
        return bool(Script("reopen_queue", self._keys).run(self._store, name)) or was_paused

    def limit(self, name: str, *, concurrency: int | str | None, rate: str | None) -> None:
        """Sets limits that override those of the code; "off" lifts one, None leaves one as it is."""
        self._require_limited(name)
        fields: dict[Any, Any] = {}
        if concurrency is not None:
            fields["concurrency"] = concurrency
        if rate is not None:
            fields |= {"rate": rate, "interval_ms": rate if rate == OFF else interval_ms(rate)}
        self._store.hset(self._keys.limits(name), mapping=fields)

    def limits(self, name: str) -> LimitState:
        """Its limits in force and its state."""
        self._require_limited(name)
        (found,) = [queue.limits for queue in self.all() if queue.name == name]
        return found or LimitState(None, None, False, False, None, "", None)

    def clear_limits(self, name: str) -> bool:
        """Leaves the limits to the code again. Returns False if they were left to it already."""
        self._require_limited(name)
        return bool(self._store.hdel(self._keys.limits(name), "concurrency", "rate", "interval_ms"))

    def _require_limited(self, name: str) -> None:
        self._require_known(name)
        if not is_own_queue(name):
            raise Misconfigured(
                f"{name} is a queue of several handlers and has no limits: give a handler concurrency=, rate= or "
                f"breaker=True in @on(…). Its own queue is then called {own_queue(name, 'HANDLER')}"
            )

    def _require_known(self, name: str) -> None:
        names = [queue.name for queue in self.all()]
        if name not in names:
            raise NotFound(f"there is no queue {name}; there are: {', '.join(names)}")
