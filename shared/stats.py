"""The counts of the ledger and the queues, read in one instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.limits import OFF
from surehook.shared.scripts import Script, Store, text


@dataclass(frozen=True, slots=True)
class LimitState:
    """A queue's limits in force, its breaker, and why none of its jobs may start."""

    concurrency: int | None
    rate: str | None
    is_set_by_operator: bool
    has_breaker: bool
    breaker_open_seconds: float | None
    """How long it has been open; None: it is closed."""
    waits_for: str
    """`closed` (a handler asked for a pause of all its events), `breaker` (the next probe), `concurrency`, `rate`."""
    wait_seconds: float | None

    @classmethod
    def parse(cls, fields: Sequence[Any], now: float) -> "LimitState":
        """Reads a reply of the script `stats`."""
        declared, concurrency, rate, open_since, waits_for, wait_ms = fields
        its_concurrency, its_rate, _, breaker = (text(declared) or ",,,0").split(",")
        in_force = [text(each) or its for each, its in ((concurrency, its_concurrency), (rate, its_rate))]
        chosen = [None if each in ("", OFF) else each for each in in_force]
        is_open = bool(open_since) and breaker == "1"
        return cls(
            concurrency=int(chosen[0]) if chosen[0] else None,
            rate=chosen[1],
            is_set_by_operator=bool(concurrency or rate),
            has_breaker=breaker == "1",
            breaker_open_seconds=round(max(0.0, now - int(open_since) / 1000), 1) if is_open else None,
            waits_for=text(waits_for),
            wait_seconds=wait_ms / 1000 if wait_ms > 0 else None,
        )


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The jobs of one queue."""

    name: str
    waiting: int
    running: int
    scheduled: int
    deferred: int
    """Jobs that wait for their turn: see docs/ordering.md."""
    dead: int
    is_paused: bool
    oldest_waiting_seconds: float
    workers: int
    limits: LimitState | None = None
    """For the own queue of a handler with limits."""

    @property
    def jobs(self) -> int:
        return self.waiting + self.running + self.scheduled + self.deferred + self.dead


@dataclass(frozen=True, slots=True)
class Stats:
    """The counts of the ledger and of every queue, of one instant."""

    read_at: str
    """The instant on the store's clock, in RQ's format."""
    accepted: int
    done: int
    discarded: int
    erased: int
    orphaned: int
    """All orphans so far. They are not part of the balance: an orphan's event is done, or open while it is undone."""
    replayed: int
    """Replays so far, of closed events and of dead letters; no part of the balance either."""
    open: int
    extra_jobs: int
    """The number of extra jobs of events with several handlers."""
    is_suspended: bool
    queues: tuple[QueueStats, ...]

    @property
    def off_by(self) -> int:
        """Accepted, but neither open nor closed; 0 when the counts balance."""
        return self.accepted - self.done - self.discarded - self.erased - self.open

    @property
    def drift(self) -> int:
        """Jobs beyond those that the open events need: usually 0, below 0 when some have none.

        Copies, and another application's jobs on the same queues, count too: only a change means something.
        """
        return sum(queue.jobs for queue in self.queues) - self.open - self.extra_jobs

    @property
    def imbalance(self) -> int:
        """How many events are wrong according to the counts alone."""
        return abs(self.off_by) + max(0, -self.drift)


class StatsReader:
    """Reads the counts. The store takes microseconds for each queue, for any number of events."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._script = Script("stats", keys)

    def read(self) -> Stats:
        reply = self._script.run(self._store, EVENTS_QUEUE)
        now, read_at, *counts, is_suspended, queues = reply  # the counts in the order of the class
        queue_stats = tuple(_queue(fields, float(now)) for fields in queues)
        return Stats(*(text(read_at), *counts, bool(is_suspended), queue_stats))


def _queue(fields: list[Any], now: float) -> QueueStats:
    name, waiting, running, scheduled, deferred, dead, is_paused, head_since, workers, *limits = fields
    waited = now - _seconds(text(head_since)) if head_since else 0.0
    age = round(max(0.0, waited), 3)
    state = LimitState.parse(limits, now) if limits else None
    return QueueStats(text(name), waiting, running, scheduled, deferred, dead, bool(is_paused), age, workers, state)


def _seconds(instant: str) -> float:
    """An instant in RQ's format. One that another application has written in another format counts as long ago."""
    try:
        return datetime.fromisoformat(instant).timestamp()
    except ValueError:
        return 0.0
