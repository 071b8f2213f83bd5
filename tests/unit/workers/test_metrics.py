"""Runs counted in batches: none is lost, and several values observed together are in their buckets."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from surehook.workers import metrics as workers_metrics
from surehook.workers.metrics import SECONDS_BUCKETS, WorkerMetrics, observe


def a_histogram() -> tuple[Histogram, CollectorRegistry]:
    registry = CollectorRegistry()
    return Histogram("seconds", "A duration", buckets=SECONDS_BUCKETS, registry=registry), registry


class Unknown:
    """A histogram of a version of prometheus-client that keeps its parts elsewhere."""

    def __init__(self, histogram: Histogram) -> None:
        self.observe = histogram.observe


def shown(registry: CollectorRegistry) -> dict[str, float]:
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {f"{each.name} {each.labels}": each.value for each in samples if not each.name.endswith("_created")}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="none"),
        pytest.param([0.25], id="one"),
        pytest.param([0.0, 0.001, 0.002], id="all in the first bucket"),
        pytest.param([*SECONDS_BUCKETS, *SECONDS_BUCKETS], id="on the bounds"),
        pytest.param([0.002, 400.0, 0.25, 1e9, 0.002], id="beyond the last bound"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_values_observed_together_are_in_the_same_buckets(values: list[float], is_known: bool) -> None:
    together, of_together = a_histogram()
    each, of_each = a_histogram()

    observe(together if is_known else Unknown(together), values)  # type: ignore[arg-type] # it only observes
    for value in values:
        each.observe(value)

    assert shown(of_together) == pytest.approx(shown(of_each))


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> tuple[WorkerMetrics, CollectorRegistry]:
    registry = CollectorRegistry()
    for kind in (Counter, Gauge, Histogram):
        monkeypatch.setattr(workers_metrics, kind.__name__, partial(kind, registry=registry))
    return WorkerMetrics(), registry


def test_threads_that_count_and_flush_beside_each_other_lose_no_run(
    metrics: tuple[WorkerMetrics, CollectorRegistry],
) -> None:
    ours, registry = metrics
    work = SimpleNamespace(event_type="user.create")

    def run(number: int) -> None:
        for _ in range(500):
            ours.count(f"handler-{number % 2}", work, "done", 0.25)
            ours.count_wait(0.02)
            ours.flush()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(8)))

    found = shown(registry)
    for name in ("handler-0", "handler-1"):
        labels = {"handler": name, "type": "user.create", "outcome": "done"}
        assert found[f"surehook_attempts_total {labels}"] == 2000
        assert found[f"surehook_handler_seconds_count {{'handler': '{name}'}}"] == 2000
        assert found[f"surehook_handler_seconds_sum {{'handler': '{name}'}}"] == 500
    assert found["surehook_wait_seconds_count {}"] == 4000


def test_runs_are_in_the_series_after_a_flush(metrics: tuple[WorkerMetrics, CollectorRegistry]) -> None:
    ours, registry = metrics
    ours.flush()
    assert registry.get_sample_value("surehook_wait_seconds_count") == 0

    for _ in range(3):
        ours.count("handler", SimpleNamespace(event_type="user.create"), "done", 0.25)
    ours.count_wait(-1.0)
    assert registry.get_sample_value("surehook_wait_seconds_count") == 0

    ours.flush()
    labels = {"handler": "handler", "type": "user.create", "outcome": "done"}
    assert registry.get_sample_value("surehook_attempts_total", labels) == 3
    assert registry.get_sample_value("surehook_handler_seconds_count", {"handler": "handler"}) == 3
    assert registry.get_sample_value("surehook_wait_seconds_count") == 1
    assert registry.get_sample_value("surehook_wait_seconds_sum") == 0
