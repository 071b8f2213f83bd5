"""Several values observed together are as if each was observed by itself."""

import pytest
from prometheus_client import CollectorRegistry, Histogram

from surehook.workers.metrics import SECONDS_BUCKETS, observe


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

    observe(together if is_known else Unknown(together), values)  # type: ignore[arg-type]
    for value in values:
        each.observe(value)

    assert shown(of_together) == pytest.approx(shown(of_each))
