"""The workers' metrics: each process writes them to PROMETHEUS_MULTIPROC_DIR, the supervisor serves the sums."""

import os
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from surehook.shared.event_types import label
from surehook.shared.minutes import MinuteCounts
from surehook.workers.deques import taken
from surehook.workers.store_report import STORE_REASONS

NOT_READY = "surehook_worker_not_ready"
KEY_MISSING = "key_missing"
RESOURCES_CLOSED = "resources_closed"
NOT_READY_REASONS = (KEY_MISSING, RESOURCES_CLOSED, *STORE_REASONS)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)  # to 4 h
SECONDS_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)


FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def take_metrics_folder() -> None:
    """Removes the variable from the environment, because programs that handlers start would write to our files.

    prometheus-client looks it up again for each file that it opens.
    """
    folder = os.environ.pop(FOLDER_VARIABLE, None)
    if folder is not None:
        values: Any = prometheus_client.values
        values.os = SimpleNamespace(path=os.path, getpid=os.getpid, environ={FOLDER_VARIABLE: folder})


class Typed(Protocol):
    """A claim or a transaction."""

    @property
    def event_type(self) -> str: ...


class WorkerMetrics:
    """The metrics of one process. Labels come from the user's code and the list of types, so clients cannot add any.

    `flush` adds runs and waits to their series: one run by itself takes five locked writes, and many take hardly more.
    """

    def __init__(self) -> None:
        self._attempts = Counter("surehook_attempts", "Runs of handlers", ["handler", "type", "outcome"])
        self._seconds = Histogram("surehook_handler_seconds", "A run's duration", ["handler"], buckets=SECONDS_BUCKETS)
        self._wait_seconds = Histogram(
            "surehook_wait_seconds", "From the receipt of an event to the first run of a handler", buckets=WAIT_BUCKETS
        )
        self._retries = Counter("surehook_retries", "Runs after which the handler is run again", ["handler"])
        self._untyped = Counter("surehook_untyped_events", "Runs whose event did not fit its type's model", ["type"])
        self._skipped = Counter(
            "surehook_skipped_handlers", "Transactional handlers that an ordinary event skipped", ["handler", "type"]
        )
        self.minutes = MinuteCounts()
        self._runs: deque[tuple[str, str, str, float]] = deque()
        self._waits: deque[float] = deque()
        self._series: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self.stale = Counter(
            "surehook_results_discarded", "Results of runs whose lease was lost or whose event was erased"
        )
        self.swept = Counter("surehook_swept_jobs", "Jobs created again for open events that had none")
        # Only living processes count: the supervisor deletes the file of a dead one.
        self._not_ready = Gauge(
            NOT_READY, "1 for each reason why a worker takes no events", ["reason"], multiprocess_mode="livemax"
        )
        for reason in NOT_READY_REASONS:
            self.set_not_ready(reason, is_so=False)

    def set_not_ready(self, reason: str, *, is_so: bool) -> None:
        self._not_ready.labels(reason).set(is_so)

    def count_unhandled(self, event_type: str) -> None:
        """Not a series: its label would come from the client."""
        self.minutes.add_unhandled(event_type)

    def count_wait(self, seconds: float) -> None:
        self._waits.append(max(0.0, seconds))  # the clocks of two machines differ

    def count_retry(self, handler: str) -> None:
        self._retries.labels(handler).inc()

    def count_untyped(self, event_type: str) -> None:
        self._untyped.labels(label(event_type)).inc()

    def count_skipped(self, handler: str, event_type: str) -> None:
        self._skipped.labels(handler, label(event_type)).inc()

    def count(self, handler: str, work: Typed, outcome: str, seconds: float) -> None:
        self._runs.append((handler, label(work.event_type), outcome, seconds))
        self.minutes.add(handler, outcome, seconds)

    def flush(self) -> None:
        """Adds the runs and waits to their series. Any thread may call it. A process that is killed loses them."""
        durations: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for handler, event_type, outcome, seconds in taken(self._runs):
            durations[handler, event_type, outcome].append(seconds)
        for labels, seconds_of_each in durations.items():
            attempts, histogram = self._series_of(labels)
            attempts.inc(len(seconds_of_each))
            observe(histogram, seconds_of_each)
        if waits := list(taken(self._waits)):
            observe(self._wait_seconds, waits)

    def _series_of(self, labels: tuple[str, str, str]) -> tuple[Counter, Histogram]:
        try:
            return self._series[labels]
        except KeyError:  # finding a series by its labels costs more than counting in it
            found = self._series[labels] = (self._attempts.labels(*labels), self._seconds.labels(labels[0]))
            return found


def observe(histogram: Histogram, values: Sequence[float]) -> None:
    """Observes several values at once."""
    series: Any = histogram
    try:
        total, bounds, counts = series._sum, series._upper_bounds, series._buckets  # noqa: SLF001 - no method for several
    except AttributeError:  # another version of prometheus-client
        for value in values:
            histogram.observe(value)
        return
    buckets: dict[int, int] = defaultdict(int)
    for value in values:
        buckets[bisect_left(bounds, value)] += 1
    for bucket, number in buckets.items():
        counts[bucket].inc(number)
    total.inc(sum(values))


def why_not_ready(processes: Collector) -> list[str]:
    """The reasons given by any living worker process."""
    series = CollectorRegistry()
    series.register(processes)
    return [reason for reason in NOT_READY_REASONS if series.get_sample_value(NOT_READY, {"reason": reason})]
