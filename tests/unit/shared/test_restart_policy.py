import pytest

from surehook.shared.restart_policy import LONGEST_PAUSE_SECONDS, STABLE_AFTER_SECONDS, RestartPolicy

EARLY = 1.0


@pytest.mark.parametrize(
    ("early_deaths", "lived", "is_failure", "expected"),
    [
        pytest.param(0, EARLY, True, 0.0, id="first early death"),
        pytest.param(1, EARLY, True, 2.0, id="second"),
        pytest.param(2, EARLY, True, 4.0, id="third"),
        pytest.param(99, EARLY, True, LONGEST_PAUSE_SECONDS, id="hundredth"),
        pytest.param(99, STABLE_AFTER_SECONDS + 1, True, 0.0, id="it was stable"),
        pytest.param(99, EARLY, False, 0.0, id="it ended in order"),
    ],
)
def test_a_process_is_replaced_later_the_more_have_died_early(
    early_deaths: int, lived: float, is_failure: bool, expected: float
) -> None:
    policy = RestartPolicy()
    for _ in range(early_deaths):
        policy.pause_before_restart(EARLY)

    assert policy.pause_before_restart(lived, is_failure=is_failure) == expected


@pytest.mark.parametrize(("lived", "is_failure"), [(STABLE_AFTER_SECONDS + 1, True), (EARLY, False)])
def test_a_stable_process_ends_the_backoff(lived: float, is_failure: bool) -> None:
    policy = RestartPolicy()
    for _ in range(9):
        policy.pause_before_restart(EARLY)
    policy.pause_before_restart(lived, is_failure=is_failure)

    assert policy.pause_before_restart(EARLY) == 0.0
