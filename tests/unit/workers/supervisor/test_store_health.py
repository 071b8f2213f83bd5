import pytest

from surehook.workers.queue.claims import LEASE_SECONDS
from surehook.workers.supervisor.store_health import StoreHealth

LONG_UP = 1000.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def steadiness(clock: Clock) -> StoreHealth:
    """One that has watched for a lease's time."""
    steadiness = StoreHealth(clock)
    tick(steadiness, clock, times=int(LEASE_SECONDS))
    assert steadiness.holds(LONG_UP)
    return steadiness


def tick(steadiness: StoreHealth, clock: Clock, *, times: int = 1, took: float = 0.0, is_fine: bool = True) -> None:
    for _ in range(times):
        clock.now += 1
        steadiness.before_tick()
        clock.now += took
        steadiness.after_tick(is_fine=is_fine)


def test_a_fresh_worker_declares_nobody_dead(clock: Clock) -> None:
    steadiness = StoreHealth(clock)
    tick(steadiness, clock, times=int(LEASE_SECONDS) - 1)

    assert not steadiness.holds(LONG_UP)


@pytest.mark.parametrize(
    ("took", "is_fine"),
    [pytest.param(0.0, False, id="the store was away"), pytest.param(3.0, True, id="the store was slow")],
)
def test_after_a_bad_tick_a_leases_time_must_pass(
    took: float, is_fine: bool, steadiness: StoreHealth, clock: Clock
) -> None:
    tick(steadiness, clock, took=took, is_fine=is_fine)
    assert not steadiness.holds(LONG_UP)

    tick(steadiness, clock, times=int(LEASE_SECONDS) - 1)
    assert not steadiness.holds(LONG_UP)
    tick(steadiness, clock)

    assert steadiness.holds(LONG_UP)


def test_a_machine_that_slept_declares_nobody_dead(steadiness: StoreHealth, clock: Clock) -> None:
    clock.now += 3600
    steadiness.before_tick()

    assert not steadiness.holds(LONG_UP)


@pytest.mark.parametrize("step", [pytest.param(30.0, id="set forward"), pytest.param(-30.0, id="set back")])
def test_after_a_step_of_the_stores_clock_a_leases_time_must_pass(
    step: float, steadiness: StoreHealth, clock: Clock
) -> None:
    steadiness.compare(5_000.0 + clock.now)
    tick(steadiness, clock, times=int(LEASE_SECONDS))
    steadiness.compare(5_000.5 + clock.now)
    assert steadiness.holds(LONG_UP)

    steadiness.compare(5_000.5 + step + clock.now)
    assert not steadiness.holds(LONG_UP)
    tick(steadiness, clock, times=int(LEASE_SECONDS))
    steadiness.compare(5_000.5 + step + clock.now)

    assert steadiness.holds(LONG_UP)


def test_a_store_that_just_came_back_proves_nothing(steadiness: StoreHealth) -> None:
    assert not steadiness.holds(LEASE_SECONDS)
