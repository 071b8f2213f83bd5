"""The pace of wrong logins, on a clock of the test."""

import pytest

from surehook.dashboard.logins import Logins, TooManyGuesses

ADDRESS = "203.0.113.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> Logins:
    return Logins(clock, clock.sleep)


def guess(logins: Logins, address: str = ADDRESS, *, right: bool = False) -> bool | None:
    """Returns None for credentials that were refused unseen."""
    try:
        return logins.check(address, lambda: right)
    except TooManyGuesses:
        return None


def test_an_address_guesses_ten_times_and_then_once_in_two_seconds(logins: Logins, clock: Clock) -> None:
    began = clock.now

    answers = [guess(logins) for _ in range(40)]

    assert answers == [False] * 40
    assert clock.now - began == pytest.approx(30 * 2.0)


def test_right_credentials_cost_nothing(logins: Logins, clock: Clock) -> None:
    began = clock.now

    assert all(guess(logins, right=True) for _ in range(1000))

    assert clock.now == began
    assert logins.remembered == 0


def test_right_credentials_pass_after_wrong_ones_from_the_same_address(logins: Logins, clock: Clock) -> None:
    for _ in range(300):
        guess(logins)
    began = clock.now

    assert guess(logins, right=True)

    assert clock.now - began <= Logins.LONGEST_WAIT_SECONDS


def test_guesses_at_the_same_time_do_not_queue_up(clock: Clock) -> None:
    """Many connections wait at once: only one of them has a turn, the others are refused unseen."""
    logins = Logins(clock, lambda _: None)  # time stands still while they wait

    answers = [guess(logins) for _ in range(500)]

    assert answers.count(False) == 11
    assert answers.count(None) == 489


def test_guesses_from_many_addresses_have_a_pace_in_total(clock: Clock) -> None:
    logins = Logins(clock, lambda _: None)

    answers = [guess(logins, f"203.0.113.{number}") for number in range(250)]

    assert answers.count(False) <= 65
    assert logins.remembered <= 65


def test_an_ipv6_network_is_one_address(clock: Clock) -> None:
    logins = Logins(clock, lambda _: None)

    answers = [guess(logins, f"2001:db8:1:2::{number:x}") for number in range(50)]

    assert answers.count(False) == 11


def test_the_refusal_says_when_to_try_again(clock: Clock) -> None:
    logins = Logins(clock, lambda _: None)
    while guess(logins) is False:
        pass
    with pytest.raises(TooManyGuesses) as refused:
        logins.check(ADDRESS, lambda: True)

    clock.now += refused.value.retry_after_seconds

    assert guess(logins, right=True)


def test_addresses_are_forgotten_when_their_guesses_are_paid_for(logins: Logins, clock: Clock) -> None:
    for number in range(100):
        guess(logins, f"2001:db8:{number:x}::1")
    clock.now += 60

    guess(logins)

    assert logins.remembered == 1
