"""Whether a lapsed lease means that its holder is dead.

It does only if everybody alive could have renewed: not while the store was away or slow, not right after it came back,
not after this machine slept, and not after the store's clock, on which leases lapse, was set. Then nobody is declared
dead for the length of a lease.
"""

import time
from collections.abc import Callable

from surehook.workers.background import TICK_SECONDS
from surehook.workers.queue.claims import LEASE_SECONDS

SLOW_ANSWER_SECONDS = 2.0
# Time servers set a clock at once when it is off, and a replica that is promoted has another one; two clocks that only
# drift apart reach this in hours. A lease that is renewed in time has some seconds more to spare.
CLOCK_STEP_SECONDS = 2.0


def awake_clock() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()


class StoreHealth:
    """Told of every tick of the recovery, before and after."""

    def __init__(self, clock: Callable[[], float] = awake_clock) -> None:
        self._clock = clock
        self._since = self._seen_at = clock()
        self._store_is_ahead: float | None = None

    def before_tick(self) -> None:
        self._notice(longest=TICK_SECONDS + SLOW_ANSWER_SECONDS, is_fine=True)

    def after_tick(self, *, is_fine: bool) -> None:
        self._notice(longest=SLOW_ANSWER_SECONDS, is_fine=is_fine)

    def compare(self, store_seconds: float) -> None:
        """Told in every tick what the store's clock says."""
        now = self._clock()
        ahead = store_seconds - now
        if self._store_is_ahead is None or abs(ahead - self._store_is_ahead) > CLOCK_STEP_SECONDS:
            self._store_is_ahead = ahead
            self._since = now

    def holds(self, store_uptime_seconds: float) -> bool:
        return self._clock() - self._since >= LEASE_SECONDS and store_uptime_seconds > LEASE_SECONDS

    def _notice(self, *, longest: float, is_fine: bool) -> None:
        now = self._clock()
        if not is_fine or now - self._seen_at > longest:
            self._since = now
        self._seen_at = now
