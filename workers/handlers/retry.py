"""The retry policy: whether and when a failed handler runs again."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Backoff = Callable[[int], float] | Sequence[float]

FIRST_DELAY_SECONDS = 5
FACTOR = 4
LONGEST_DELAY_SECONDS = 4 * 3600
JITTER = 0.2
# A year, so that the store and RQ's tools can write the time as a date.
LONGEST_BACKOFF_SECONDS = 366 * 86_400


def exponential(retry: int) -> float:
    """5 s, 20 s, 80 s, … at most 4 h: eight retries span about ten hours."""
    return float(min(FIRST_DELAY_SECONDS * FACTOR ** (retry - 1), LONGEST_DELAY_SECONDS))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many retries a handler has, and the delays before them."""

    retries: int = 8
    backoff: Backoff = exponential

    def delay_after(self, spent: int, jitter: Callable[[float, float], float] = random.uniform) -> float | None:
        """Seconds until the next run after `spent` retries; None: no retries are left.

        A sequence's last delay is repeated. Jitter moves delays by up to 20 %, so that jobs which failed together do
        not run again together.

        Raises:
            ValueError: the backoff gave no finite number. Exceptions of a user's function propagate, too.
        """
        if spent >= self.retries:
            return None
        delay = self._plain_delay(spent + 1)
        if not math.isfinite(delay):
            raise ValueError(f"backoff gave {delay} seconds")
        return min(max(0.0, delay * jitter(1 - JITTER, 1 + JITTER)), LONGEST_BACKOFF_SECONDS)

    def _plain_delay(self, retry: int) -> float:
        if callable(self.backoff):
            return float(self.backoff(retry))
        return float(self.backoff[min(retry, len(self.backoff)) - 1])
