"""Recovers claims of other machines: gives back jobs whose process and supervisor died, once the lease has expired.

It runs in the supervisor, because a worker process that is recycled or killed after a few seconds does not watch the
store for long enough to tell a death from a disturbance.
"""

from collections.abc import Callable, Sequence

import redis
from prometheus_client import Counter

from surehook.shared.keys import Keys
from surehook.shared.limits import is_own_queue, served_with
from surehook.shared.scripts import texts
from surehook.shared.store import connect
from surehook.workers.background import TICK_SECONDS, PeriodicThread
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from surehook.workers.store_report import StoreReport
from surehook.workers.supervisor.interruption import INTERRUPTED, interrupt
from surehook.workers.supervisor.plan import Plan
from surehook.workers.supervisor.store_health import StoreHealth

STORE_TIMEOUT_SECONDS = 4.0


class Recovery(PeriodicThread):
    """One per supervisor, for the claims of all its queues."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        claims_on: Callable[[str], Claims],
        queues: Sequence[str],
        registry: Registry,
        interrupted: Counter,
        store_health: StoreHealth,
    ) -> None:
        super().__init__("recovery", TICK_SECONDS)
        self._store = store
        self._keys = keys
        self._claims = {queue: claims_on(queue) for queue in queues}
        self._claims_on = claims_on
        self._queues = frozenset(queues)
        self._registry = registry
        self._interrupted = interrupted
        self._store_health = store_health

    def try_tick(self) -> bool:
        self._store_health.before_tick()
        is_available = super().try_tick()
        self._store_health.after_tick(is_available=is_available)
        return is_available

    def tick(self) -> None:
        expired = [(claims, key) for claims in self._all_claims() for key in claims.expired()]
        # Read afterwards, so that a step of the store's clock that expired these leases is noticed in the same tick.
        seconds, micros = self._store.time()
        self._store_health.compare_clocks(seconds + micros / 1_000_000)
        if not expired or not self._store_health.is_trustworthy():
            return
        for claims, key in expired:
            if interrupt(claims, self._registry, self._store, self._keys, key) in INTERRUPTED:
                self._interrupted.inc()

    def _all_claims(self) -> list[Claims]:
        """Includes the own queues of handlers, also of handlers that no longer have one."""
        for queue in texts(self._store.smembers(self._keys.queues)):
            if is_own_queue(queue) and served_with(queue) in self._queues and queue not in self._claims:
                self._claims[queue] = self._claims_on(queue)
        return list(self._claims.values())


def recovery_of(plan: Plan, interrupted: Counter, report: StoreReport) -> Recovery:
    settings, health = plan.settings, StoreHealth()
    store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS, on_connect=health.distrust)

    def claims_on(queue: str) -> Claims:
        return Claims.of(store, settings, queue, "recovery")

    keys = Keys(settings.key_prefix)
    recovery = Recovery(store, keys, claims_on, plan.queues, plan.registry, interrupted, health)
    recovery.report = report
    return recovery
