"""The limits of a handler that has a queue of its own: how many runs at a time, how many in a period, a breaker.

The scripts enforce them (`scripts/lib/limits.lua`); here they are read, written as text, and passed on.
"""

import re
from dataclasses import dataclass

SEPARATOR = "."
"""Stands between the two names in a handler's own queue. No other queue of ours has it in its name."""
PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MOST_CONCURRENT = 100_000
_RATE = re.compile(r"([1-9][0-9]{0,5})/([smhd])")
OFF = "off"
WAIT_REASONS = ("closed", "breaker", "concurrency", "rate")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that `@on` gives a handler. An operator's own (`surehook queues limit`) override the first two."""

    concurrency: int | None = None
    rate: str | None = None
    has_breaker: bool = True

    def packed(self) -> str:
        """For the scripts: how many at a time, the rate and the milliseconds between two starts, 1 for a breaker."""
        interval = f"{interval_ms(self.rate):g}" if self.rate else ""
        return f"{self.concurrency or ''},{self.rate or ''},{interval},{int(self.has_breaker)}"


def interval_ms(rate: str) -> float:
    """The milliseconds between two starts: `100/m` is one every 600.

    Raises:
        ValueError: it is no rate. The message says what one looks like.
    """
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(f'a rate is a number and s, m, h or d, as in "100/m" (at most 999999), not {rate!r}')
    return 1000 * PERIODS[found[2]] / int(found[1])


def own_queue(queue: str, handler: str) -> str:
    """The name of a handler's own queue. The workers of `queue` serve it."""
    return f"{queue}{SEPARATOR}{handler}"


def is_own_queue(name: str) -> bool:
    return SEPARATOR in name


def served_with(name: str) -> str:
    """The queue whose workers serve a queue: for all but a handler's own, that queue itself."""
    return name.partition(SEPARATOR)[0]


def handler_of(name: str) -> str:
    """The handler whose own queue it is; empty for any other queue."""
    return name.partition(SEPARATOR)[2]
