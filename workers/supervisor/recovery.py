"""What a worker held that died with its parent: it runs again once its lease has lapsed.

A thread of the parent, which outlives the processes it starts: none of those that live for a few seconds only, because
they are recycled or a handler ends them, could watch for long enough to tell a death from a disturbance.
"""

import logging
import threading
from collections.abc import Sequence

import redis
from prometheus_client import Counter
from redis.exceptions import RedisError

from surehook.shared.keys import Keys
from surehook.workers.background import TICK_SECONDS
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.heartbeat import interrupt
from surehook.workers.queue.claims import Claims
from surehook.workers.supervisor.store_health import StoreHealth

log = logging.getLogger(__name__)


class Recovery(threading.Thread):
    """One per pool, for the claims of all its queues."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        claims: Sequence[Claims],
        registry: Registry,
        interrupted: Counter,
        steadiness: StoreHealth,
    ) -> None:
        super().__init__(name="recovery", daemon=True)
        self._store = store
        self._keys = keys
        self._claims = claims
        self._registry = registry
        self._interrupted = interrupted
        self._steadiness = steadiness
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()

    def run(self) -> None:
        while not self._done.wait(TICK_SECONDS):
            self._steadiness.before_tick()
            self._steadiness.after_tick(is_fine=self._tick_safely())

    def tick(self) -> None:
        lapsed = [(claims, key) for claims in self._claims for key in claims.expired()]
        # Read after them: if that clock stepped before they were looked at, this is told of it in time.
        seconds, micros = self._store.time()
        self._steadiness.compare(seconds + micros / 1_000_000)
        if not lapsed or not self._steadiness.holds(self._store.info("server")["uptime_in_seconds"]):
            return
        for claims, key in lapsed:
            if interrupt(claims, self._registry, self._store, self._keys, key) in {"requeued", "buried"}:
                self._interrupted.inc()

    def _tick_safely(self) -> bool:
        """Whether the store could be talked to. Whatever else goes wrong, the next tick comes."""
        try:
            self.tick()
        except (RedisError, OSError):
            return False
        except Exception:
            log.exception("recovery failed")
        return True
