"""Writes the process's counts of runs, and announces its handlers, for `surehook handlers list`."""

import json
import time

import redis

from surehook.shared.keys import Keys
from surehook.shared.limits import served_with
from surehook.shared.minutes import MinuteCounts, Minutes
from surehook.shared.scripts import Script
from surehook.workers.background import PeriodicThread
from surehook.workers.handlers.registry import Handler, Registry

TICK_SECONDS = 5.0
ANNOUNCE_SECONDS = 60.0
LAST_TICK_SECONDS = 1.0
ANNOUNCED_FOR_SECONDS = 72 * 3600


class MinuteWriter(PeriodicThread):
    """One per worker process."""

    def __init__(
        self, store: redis.Redis, keys: Keys, registry: Registry, counts: MinuteCounts, *, handler_timeout: float
    ) -> None:
        super().__init__("counts of minutes", TICK_SECONDS)
        self._store = store
        self._script = Script("announce_handlers", keys)
        self._registry = registry
        self._counts = counts
        self._minutes = Minutes(store, keys)
        self._handler_timeout = handler_timeout
        self._announce_at = 0.0

    def tick(self) -> None:
        self._minutes.write(self._counts.take())
        if time.monotonic() >= self._announce_at:
            self._announce()
            self._announce_at = time.monotonic() + ANNOUNCE_SECONDS

    def run(self) -> None:
        super().run()
        self.try_tick()  # the counts of the last runs

    def stop(self) -> None:
        """Waits for the last counts a little."""
        super().stop()
        if self.is_alive():
            self.join(LAST_TICK_SECONDS)

    def _announce(self) -> None:
        described = [(each.name, json.dumps(self._description(each))) for each in self._registry if each.types]
        if described:
            self._script.run(self._store, ANNOUNCED_FOR_SECONDS, *(part for pair in described for part in pair))

    def _description(self, handler: Handler) -> dict[str, object]:
        return {
            "types": handler.types,
            "queue": served_with(handler.queue),
            "retries": handler.policy.retries,
            "timeout": handler.timeout_seconds or self._handler_timeout,
            "transactional": handler.is_transactional,
            "limits": _limits(handler),
            "code": handler.code,
            "announced_at": time.time(),
        }


def _limits(handler: Handler) -> list[str]:
    """The options that keep the handler from running at once, in the words of `@on`."""
    found = []
    if handler.order is not None:
        found.append(f"ordered_by={handler.order.by if isinstance(handler.order.by, str) else 'a function'}")
        found += ["latest_only"] if handler.order.latest_only else []
    if handler.changed:
        found.append(f"changed={','.join(handler.changed)}")
    if handler.limits is not None:
        found += [f"concurrency={handler.limits.concurrency}"] if handler.limits.concurrency else []
        found += [f"rate={handler.limits.rate}"] if handler.limits.rate else []
        found += ["breaker"] if handler.limits.has_breaker else []
    return found
