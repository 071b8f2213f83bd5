"""How many claims a process asks for."""

import pytest

from surehook.workers.queue.prefetch import LONGEST_REST_SECONDS, MOST_AHEAD, Prefetch


def after(prefetch: Prefetch, *finished: int, exchange_seconds: float = 0.002) -> Prefetch:
    for count in finished:
        prefetch.record(exchange_seconds, count, now=10.0)
    return prefetch


def test_idle_threads_are_served_immediately_and_nothing_is_held_ahead_at_first() -> None:
    assert Prefetch(8).wanted(busy=0, long_running=0, now=10.0) == 8
    assert Prefetch(8).wanted(busy=5, long_running=0, now=10.0) == 3
    assert Prefetch(8).wanted(busy=8, long_running=0, now=10.0) == 0


def test_twice_the_jobs_that_finish_in_an_exchange_are_held_ahead_up_to_a_bound() -> None:
    assert after(Prefetch(8), 8).ahead(0, now=10.0) == 16
    assert after(Prefetch(8), 500).ahead(0, now=10.0) == MOST_AHEAD
    assert after(Prefetch(1), 500).ahead(0, now=10.0) == 8


@pytest.mark.parametrize(("long_running", "ahead"), [(0, 32), (4, 16), (8, 0)])
def test_threads_that_are_busy_for_long_get_nothing_ahead(long_running: int, ahead: int) -> None:
    assert after(Prefetch(8), 16).ahead(long_running, now=10.0) == ahead


def test_slow_handlers_end_the_prefetch() -> None:
    prefetch = after(Prefetch(8), 30, *[0] * 60)

    assert prefetch.ahead(0, now=10.0) == 0


def test_claims_come_in_halves_so_that_one_runs_while_the_other_is_fetched() -> None:
    prefetch = after(Prefetch(8), 500)

    assert prefetch.wanted(busy=0, long_running=0, now=10.0) == 36
    assert prefetch.wanted(busy=36, long_running=0, now=10.0) == 36
    assert prefetch.wanted(busy=70, long_running=0, now=10.0) == 2


def test_a_queue_that_must_not_wait_holds_nothing_ahead() -> None:
    assert after(Prefetch(8, may_hold_ahead=False), 500).wanted(busy=8, long_running=0, now=10.0) == 0


@pytest.mark.parametrize(
    ("finished", "waiting", "seconds", "may_rest"),
    [
        pytest.param(3, 16, 0.0, True, id="enough wait"),
        pytest.param(3, 15, 0.0, False, id="a thread may soon have none"),
        pytest.param(30, 30, 0.0, True, id="as many wait as finish until the next exchange"),
        pytest.param(30, 29, 0.0, False, id="fast handlers would finish all before the next reply"),
        pytest.param(3, 64, LONGEST_REST_SECONDS, False, id="results wait no longer"),
    ],
)
def test_an_exchange_waits_while_enough_jobs_are_here(
    finished: int, waiting: int, seconds: float, may_rest: bool
) -> None:
    assert after(Prefetch(8), finished).may_rest(waiting, now=10.0 + seconds) is may_rest


def after_a_second(prefetch: Prefetch, per_second: int) -> Prefetch:
    """A second of exchanges that take a millisecond each, one after the other; it ends at 11.0."""
    for number in range(1000):
        finished = (number + 1) * per_second // 1000 - number * per_second // 1000
        prefetch.record(0.001, finished, now=10.001 + number / 1000)
    return prefetch


@pytest.mark.parametrize(("threads", "milliseconds", "ahead"), [(64, 50, 4), (64, 200, 0), (8, 50, 0), (1, 50, 0)])
def test_many_slow_handlers_get_ahead_what_starts_within_three_exchanges(
    threads: int, milliseconds: int, ahead: int
) -> None:
    prefetch = after_a_second(Prefetch(threads), threads * 1000 // milliseconds)

    assert prefetch.ahead(long_running=threads, now=11.0) == ahead


def test_fast_handlers_get_no_more_than_before() -> None:
    assert after_a_second(Prefetch(8), 4000).ahead(long_running=4, now=11.0) == 4


@pytest.mark.parametrize("seconds", [0.05, 10.0])
def test_slow_handlers_of_which_none_ends_get_nothing_ahead(seconds: float) -> None:
    assert after_a_second(Prefetch(64), 1280).ahead(long_running=64, now=11.0 + seconds) == 0


def test_the_first_handlers_to_end_after_a_pause_bring_nothing_ahead() -> None:
    prefetch = after_a_second(Prefetch(64), 1280)

    for number in range(6):
        prefetch.record(0.001, 1, now=12.0 + number / 1000)
    assert prefetch.ahead(long_running=64, now=12.005) == 0

    for number in range(6, 30):
        prefetch.record(0.001, 1, now=12.0 + number / 1000)
    assert prefetch.ahead(long_running=64, now=12.029) == 3


def test_jobs_that_were_given_back_are_not_claimed_again_at_once() -> None:
    prefetch = after_a_second(Prefetch(64), 1280)

    prefetch.forget_rate()

    assert prefetch.ahead(long_running=64, now=11.0) == 0


def test_what_starts_soon_is_bounded_like_all_that_is_held_ahead() -> None:
    assert after_a_second(Prefetch(8), 40_000).ahead(long_running=8, now=11.0) == MOST_AHEAD
    assert after_a_second(Prefetch(64, may_hold_ahead=False), 1280).ahead(long_running=64, now=11.0) == 0
