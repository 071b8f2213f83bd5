"""The time before the deadline at which waiting for handlers stops, by the number of waiting requests."""

import pytest

from surehook.ingest.transactional.coordinator import head_start


@pytest.mark.parametrize(
    ("waiter_count", "seconds"),
    [
        pytest.param(1, 0.0, id="alone"),
        pytest.param(20, 0.0, id="few"),
        pytest.param(220, 0.08, id="hundreds"),
        pytest.param(100_000, 0.1, id="no more than a tenth of a second"),
    ],
)
def test_waiting_stops_earlier_when_many_responses_are_due(waiter_count: int, seconds: float) -> None:
    assert head_start(waiter_count) == pytest.approx(seconds)
