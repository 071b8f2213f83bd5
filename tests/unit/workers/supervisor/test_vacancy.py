import pytest

from surehook.workers.supervisor.vacancy import LIVED_LONG_SECONDS, LONGEST_RESTART_SECONDS, PendingRestart, vacancy

YOUNG = 1.0


@pytest.mark.parametrize(
    ("quick_deaths", "lived", "status", "expected"),
    [
        pytest.param(0, YOUNG, -9, PendingRestart("events", 1, 100.0), id="the first that died young"),
        pytest.param(1, YOUNG, -9, PendingRestart("events", 2, 102.0), id="the second"),
        pytest.param(2, YOUNG, 1, PendingRestart("events", 3, 104.0), id="the third"),
        pytest.param(99, YOUNG, 1, PendingRestart("events", 100, 100.0 + LONGEST_RESTART_SECONDS), id="the hundredth"),
        pytest.param(99, LIVED_LONG_SECONDS + 1, 1, PendingRestart("events", 0, 100.0), id="it lived long"),
        pytest.param(99, YOUNG, 0, PendingRestart("events", 0, 100.0), id="it ended in order"),
    ],
)
def test_a_place_is_filled_later_the_more_died_young(
    quick_deaths: int, lived: float, status: int, expected: PendingRestart
) -> None:
    found = vacancy("events", quick_deaths=quick_deaths, lived_seconds=lived, status=status, now=100.0)

    assert found == expected
