import pytest

from surehook.workers.handlers.retry import LONGEST_BACKOFF_SECONDS, RetryPolicy, exponential


def test_eight_retries_span_about_ten_hours() -> None:
    delays = [exponential(retry) for retry in range(1, 9)]

    assert delays == [5, 20, 80, 320, 1280, 5120, 14400, 14400]
    assert 9.5 < sum(delays) / 3600 < 10.5


@pytest.mark.parametrize(
    ("spent", "again"),
    [
        pytest.param(0, True, id="none spent"),
        pytest.param(7, True, id="one left"),
        pytest.param(8, False, id="all"),
    ],
)
def test_the_budget_is_retries_after_the_first_run(spent: int, again: bool) -> None:
    assert (RetryPolicy().delay_after(spent) is not None) is again


def test_no_retries_means_dead_at_once() -> None:
    assert RetryPolicy(retries=0).delay_after(0) is None


def test_a_sequence_repeats_its_last_delay() -> None:
    policy = RetryPolicy(retries=4, backoff=(1, 10))

    assert [policy.delay_after(spent, lambda low, _: low + 0.2) for spent in range(4)] == [1, 10, 10, 10]


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), -float("inf")])
def test_a_delay_that_is_no_time_is_an_error(delay: float) -> None:
    with pytest.raises(ValueError, match="backoff"):
        RetryPolicy(backoff=lambda _: delay).delay_after(0)


@pytest.mark.parametrize(("delay", "seconds"), [(-1, 0), (1e300, LONGEST_BACKOFF_SECONDS)])
def test_a_delay_has_bounds(delay: float, seconds: float) -> None:
    assert RetryPolicy(backoff=lambda _: delay).delay_after(0) == seconds


def test_delays_move_by_up_to_a_fifth() -> None:
    policy = RetryPolicy(backoff=(100,))

    delays = {policy.delay_after(0) for _ in range(200)}

    assert len(delays) > 100
    assert all(delay is not None and 80 <= delay <= 120 for delay in delays)
