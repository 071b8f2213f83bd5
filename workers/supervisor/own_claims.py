"""Renews and gives back the claims of a supervisor's own processes, which it reads from shared memory."""

import logging
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter
from redis.exceptions import RedisError

from surehook.shared.store import connect
from surehook.workers.store_report import StoreReport
from surehook.workers.supervisor.child import Child

log = logging.getLogger(__name__)

RENEWAL, GIVING_BACK = "renewal for stalled processes", "giving back claims"
STORE_TIMEOUT_SECONDS = 1.0
RENEW_EVERY_SECONDS = 3.0


class OwnClaims:
    """Each process's claims are on the store of its own plan, which a reload may have changed since."""

    def __init__(
        self, report: StoreReport, interrupted: Counter, killed: Counter, forget: Callable[[Child], None]
    ) -> None:
        self._report = report
        self._interrupted = interrupted
        self._killed = killed
        self._forget = forget
        self.unreported: list[Child] = []
        """Dead, and their claims not given back yet: the store is unavailable."""
        self._next_renewal = self._next_give_back = 0.0

    def give_back(self, children: Sequence[Child]) -> bool:
        """Give back the claims of dead processes. False if the store is unavailable."""
        try:
            for child in children:
                plan = child.read_plan()
                if not plan.is_known:
                    continue  # it has taken no events
                with connect(plan.settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                    counts = child.is_to_blame
                    self._interrupted.inc(child.give_back(store, plan.settings, plan.registry, counts=counts))
                while child.timed_out:  # none is counted twice if another child's turn fails
                    self._killed.labels(child.timed_out.pop()).inc()
        except (RedisError, OSError) as exc:
            self._report.failed(GIVING_BACK, exc)
            if children is not self.unreported:
                log.warning("claims not given back", extra={"error_type": type(exc).__name__})
            return False
        if children:
            self._report.succeeded(GIVING_BACK)
        return True

    def give_back_unreported(self) -> None:
        """Try again until the store is back: only this process knows which runs had started."""
        if not self.unreported or time.monotonic() < self._next_give_back:
            return
        if self.give_back(self.unreported):
            for child in self.unreported:
                self._forget(child)
            self.unreported = []
        self._next_give_back = time.monotonic() + RENEW_EVERY_SECONDS

    def renew_for_stalled(self, children: Sequence[Child]) -> None:
        """Renew the leases of stalled processes: a handler may hold Python's lock until its timeout."""
        stalled = [child for child in children if child.is_stalled]
        if not stalled or time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + RENEW_EVERY_SECONDS
        try:
            for child in stalled:
                with connect(child.plan.settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                    for claims in child.claims(store, child.plan.settings, child.plan.registry):
                        claims.renew([])
        except (RedisError, OSError) as exc:
            self._report.failed(RENEWAL, exc)
        else:
            self._report.succeeded(RENEWAL)
