"""The runs of the last hours by handler, for charts, from the counts by minute."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from surehook.admin.handlers import DONE
from surehook.shared.keys import Keys
from surehook.shared.minutes import KEPT_SECONDS, HandlerCounts, Minutes

HOURS = (1, 6, 24, 72)
BARS = 60
# Workers write their counts every few seconds, so an older minute changes no more and is read once.
FINAL_AFTER_MINUTES = 3
MOST_MINUTES = KEPT_SECONDS // 60
Runs = dict[str, tuple[int, int]]
"""How many runs of each handler were good, and how many failed."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The runs of one handler, or of all, in a span of time."""

    start: datetime
    minutes: int
    good: int
    failed: int


class History:
    """Reads the counts, and keeps those of minutes that are over."""

    def __init__(self, store: redis.Redis, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._minutes = Minutes(store, keys)
        self._clock = clock
        self._kept: dict[int, Runs] = {}
        self._lock = threading.Lock()

    def read(self, hours: int) -> dict[str, list[Bar]]:
        """The bars of each handler that has run, the oldest first."""
        minutes_each = hours * 60 // BARS
        now = int(self._clock() // 60)
        # Bars begin at fixed instants: a new one appears on the right, and the others stay as they are.
        last = now // minutes_each * minutes_each
        starts = range(last - (BARS - 1) * minutes_each, last + 1, minutes_each)
        runs = self._runs(range(starts[0], now + 1), now)
        names = sorted({name for each in runs.values() for name in each})
        return {name: [_bar(name, runs, start, minutes_each) for start in starts] for name in names}

    def _runs(self, minutes: Sequence[int], now: int) -> dict[int, Runs]:
        with self._lock:
            missing = [minute for minute in minutes if minute not in self._kept]
            read = dict(zip(missing, map(_counted, self._minutes.read_each(missing)), strict=True))
            self._kept |= {minute: runs for minute, runs in read.items() if minute <= now - FINAL_AFTER_MINUTES}
            for minute in [minute for minute in self._kept if minute <= now - MOST_MINUTES - 2 * BARS]:
                del self._kept[minute]
            return {minute: read[minute] if minute in read else self._kept[minute] for minute in minutes}


def _counted(handlers: dict[str, HandlerCounts]) -> Runs:
    counted = {}
    for name, counts in handlers.items():
        good = sum(number for outcome, number in counts.outcomes.items() if outcome in DONE)
        if counts.runs:
            counted[name] = (good, counts.runs - good)
    return counted


def _bar(name: str, runs: dict[int, Runs], start: int, minutes: int) -> Bar:
    found = [runs[minute].get(name, (0, 0)) for minute in range(start, start + minutes) if minute in runs]
    good, failed = (sum(each) for each in zip(*found, strict=True)) if found else (0, 0)
    return Bar(datetime.fromtimestamp(start * 60, UTC), minutes, good, failed)


def added(of_handlers: Sequence[list[Bar]]) -> list[Bar]:
    """The bars of all handlers as one."""
    return [
        Bar(bars[0].start, bars[0].minutes, sum(bar.good for bar in bars), sum(bar.failed for bar in bars))
        for bars in zip(*of_handlers, strict=True)
    ]
