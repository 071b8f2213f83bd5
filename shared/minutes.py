"""Counts of runs by minute, handler and outcome, and how long the runs took.

Worker processes count in memory and write every few seconds, so no run waits for it. A killed process loses its last
seconds, which a chart can do without; the ledger counts exactly.
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text

KEPT_SECONDS = 72 * 3600
# A bucket of durations is 19 % wider than the one before.
BUCKETS_OF_A_DOUBLING = 4
MOST_FIELDS = 500
MINUTES_AT_ONCE = 360
MOST_RUNS = 200_000
UNHANDLED = "-"
_RUN, _TOOK = "r", "t"
_LIMITS = [2 ** (bucket / BUCKETS_OF_A_DOUBLING) / 1000 for bucket in range(120)]  # from a millisecond to ten days


class MinuteCounts:
    """The runs of one process that are not written yet. Adding one costs a thread a fraction of a microsecond."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._runs: deque[tuple[str, str, float]] = deque(maxlen=MOST_RUNS)

    def add(self, handler: str, outcome: str, seconds: float) -> None:
        self._runs.append((handler, outcome, seconds))

    def add_unhandled(self, event_type: str) -> None:
        self._runs.append((UNHANDLED, event_type, 0.0))

    def take(self) -> list[tuple[int, str, int]]:
        """The counts of the runs since the last call, seconds ago, as (minute, field, number)."""
        runs = [self._runs.popleft() for _ in range(len(self._runs))]
        counts: Counter[str] = Counter()
        for handler, outcome, seconds in runs:
            counts[f"{_RUN}:{handler}:{outcome}"] += 1
            if handler != UNHANDLED:
                counts[f"{_TOOK}:{handler}:{bucket_of(seconds)}"] += 1
        minute = int(self._clock() // 60)
        return [(minute, name, number) for name, number in counts.most_common(MOST_FIELDS)]


@dataclass(slots=True)
class HandlerCounts:
    """The runs of one handler in a span of time."""

    outcomes: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)

    @property
    def runs(self) -> int:
        return sum(self.outcomes.values())

    def quantile_seconds(self, share: float) -> float | None:
        """The duration that this share of the runs did not exceed, to within a tenth; None without runs."""
        left = share * sum(self.durations.values())
        for bucket in sorted(self.durations):
            left -= self.durations[bucket]
            if left <= 0:
                return seconds_of(bucket)
        return None


class Minutes:
    """The counts in the store."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._count = Script("count_minutes", keys)

    def write(self, counts: Iterable[tuple[int, str, int]]) -> None:
        flat = [each for count in counts for each in count]
        if flat:
            self._count.run(self._store, KEPT_SECONDS, *flat)

    def read(self, first: int, last: int) -> tuple[dict[str, HandlerCounts], Counter[str]]:
        """The counts of the handlers from one minute to another, and those of types that no handler wanted."""
        handlers: dict[str, HandlerCounts] = {}
        unhandled: Counter[str] = Counter()
        for counts in self._of(range(first, last + 1)):
            _add(counts, handlers, unhandled)
        return handlers, unhandled

    def read_each(self, minutes: Sequence[int]) -> Iterator[dict[str, HandlerCounts]]:
        """The counts of the handlers in each of the minutes."""
        for counts in self._of(minutes):
            handlers: dict[str, HandlerCounts] = {}
            _add(counts, handlers, Counter())
            yield handlers

    def _of(self, minutes: Sequence[int]) -> Iterator[Mapping[bytes, bytes]]:
        for start in range(0, len(minutes), MINUTES_AT_ONCE):
            pipeline = self._store.pipeline(transaction=False)
            for minute in minutes[start : start + MINUTES_AT_ONCE]:
                pipeline.hgetall(self._keys.minute(minute))
            yield from pipeline.execute()


def _add(counts: Mapping[bytes, bytes], handlers: dict[str, HandlerCounts], unhandled: Counter[str]) -> None:
    for name, number in counts.items():
        kind, handler, rest = text(name).split(":", 2)
        if handler == UNHANDLED:
            unhandled[rest] += int(number)
        elif kind == _RUN:
            handlers.setdefault(handler, HandlerCounts()).outcomes[rest] += int(number)
        else:
            handlers.setdefault(handler, HandlerCounts()).durations[int(rest)] += int(number)


def bucket_of(seconds: float) -> int:
    """The number of the bucket; 0 holds all up to a millisecond."""
    return bisect_left(_LIMITS, seconds)


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(2 ** ((bucket - 0.5) / BUCKETS_OF_A_DOUBLING) / 1000) if bucket else 0.001
