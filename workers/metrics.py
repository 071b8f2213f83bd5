"""What the workers count: each process in the folder PROMETHEUS_MULTIPROC_DIR names, the parent serves the sum."""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from surehook.shared.event_types import label

NOT_READY = "surehook_worker_not_ready"
KEY_MISSING = "key_missing"
NOT_READY_REASONS = (KEY_MISSING,)
SECONDS_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)


class Typed(Protocol):
    """What a run is for: a claim, or a transaction."""

    @property
    def event_type(self) -> str: ...


class WorkerMetrics:
    """Handlers and queues are named by the user's code, types by the catalogue: no label grows with what comes in."""

    def __init__(self) -> None:
        self._attempts = Counter("surehook_attempts", "Runs of handlers", ["handler", "type", "outcome"])
        self._seconds = Histogram("surehook_handler_seconds", "A run's duration", ["handler"], buckets=SECONDS_BUCKETS)
        self._untyped = Counter("surehook_untyped_events", "Runs whose event did not fit its type's model", ["type"])
        self._unasked = Counter(
            "surehook_unasked_handlers", "Vetoes that an ordinary event passed by", ["handler", "type"]
        )
        self._series: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self.stale = Counter(
            "surehook_results_discarded", "Results of runs whose lease had been taken over, or event erased"
        )
        self.swept = Counter("surehook_swept_jobs", "Jobs queued again because their event had none")
        # Of the processes that live: the pool takes a dead one's file away.
        self._not_ready = Gauge(
            NOT_READY, "1 for the reason why a worker takes nothing", ["reason"], multiprocess_mode="livemax"
        )
        for reason in NOT_READY_REASONS:
            self.set_not_ready(reason, is_so=False)

    def set_not_ready(self, reason: str, *, is_so: bool) -> None:
        self._not_ready.labels(reason).set(is_so)

    def count_untyped(self, event_type: str) -> None:
        self._untyped.labels(label(event_type)).inc()

    def count_unasked(self, handler: str, event_type: str) -> None:
        self._unasked.labels(handler, label(event_type)).inc()

    def count(self, handler: str, run_for: Typed, outcome: str, seconds: float) -> None:
        series = (handler, label(run_for.event_type), outcome)
        try:
            attempts, durations = self._series[series]
        except KeyError:
            # Looking a series up by its labels costs more than counting in it.
            attempts, durations = self._attempts.labels(*series), self._seconds.labels(handler)
            self._series[series] = (attempts, durations)
        attempts.inc()
        durations.observe(seconds)


def why_not_ready(folder: str) -> list[str]:
    """What any of the pool's living processes says of itself."""
    series = CollectorRegistry()
    MultiProcessCollector(series, path=folder)  # type: ignore[no-untyped-call] # its own
    return [reason for reason in NOT_READY_REASONS if series.get_sample_value(NOT_READY, {"reason": reason})]
