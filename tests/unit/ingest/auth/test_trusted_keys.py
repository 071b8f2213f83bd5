"""How much before its deadline a transaction is given up when many have the same."""

import pytest

from surehook.ingest.transactional.coordinator import head_start


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [
        pytest.param(1, 0.0, id="alone"),
        pytest.param(20, 0.0, id="few"),
        pytest.param(220, 0.08, id="hundreds"),
        pytest.param(100_000, 0.1, id="no more than a tenth of a second"),
    ],
)
def test_a_crowd_gives_up_as_much_earlier_as_its_answers_take(waiting: int, seconds: float) -> None:
    assert head_start(waiting) == pytest.approx(seconds)
