"""Decides whether an expired lease proves that its holder is dead.

It does only if every living process could have renewed its leases. That is not so while the store is unavailable or
slow, just after it returned, after this machine was suspended, or after the store's clock, which leases expire by, was
set. After each of these, no process is declared dead for the length of a lease.
"""

import time
from collections.abc import Callable

from surehook.workers.background import TICK_SECONDS
from surehook.workers.queue.claims import LEASE_SECONDS

SLOW_REPLY_SECONDS = 2.0
# A time server corrects a wrong clock in one step, and a promoted replica has another clock. Two clocks that merely
# drift apart take hours to reach this difference. A lease that is renewed in time has some seconds left.
CLOCK_STEP_SECONDS = 2.0


def awake_clock() -> float:
    """Seconds that also count while the machine is suspended, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()


class StoreHealth:
    """Observes every tick of the recovery, from before it to after it."""

    def __init__(self, clock: Callable[[], float] = awake_clock) -> None:
        self._clock = clock
        self._healthy_since = self._seen_at = clock()
        self._clock_difference: float | None = None

    def before_tick(self) -> None:
        self._observe(longest=TICK_SECONDS + SLOW_REPLY_SECONDS, is_available=True)

    def after_tick(self, *, is_available: bool) -> None:
        self._observe(longest=SLOW_REPLY_SECONDS, is_available=is_available)

    def compare_clocks(self, store_seconds: float) -> None:
        """Compare the store's clock, read in this tick, with ours."""
        now = self._clock()
        difference = store_seconds - now
        if self._clock_difference is None or abs(difference - self._clock_difference) > CLOCK_STEP_SECONDS:
            self._clock_difference = difference
            self._healthy_since = now

    def distrust(self) -> None:
        """Called for each new connection: the store may have restarted, or another server is the primary now."""
        self._healthy_since = self._clock()

    def is_trustworthy(self) -> bool:
        """True if a lease that has expired by now proves a death."""
        return self._clock() - self._healthy_since >= LEASE_SECONDS

    def _observe(self, *, longest: float, is_available: bool) -> None:
        now = self._clock()
        if not is_available or now - self._seen_at > longest:
            self._healthy_since = now
        self._seen_at = now
