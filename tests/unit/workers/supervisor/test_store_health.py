import pytest

from surehook.workers.queue.claims import LEASE_SECONDS
from surehook.workers.supervisor.store_health import StoreHealth


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> StoreHealth:
    """A health that has observed the store for the length of a lease."""
    health = StoreHealth(clock)
    tick(health, clock, times=int(LEASE_SECONDS))
    assert health.is_trustworthy()
    return health


def tick(health: StoreHealth, clock: Clock, *, times: int = 1, took: float = 0.0, is_available: bool = True) -> None:
    for _ in range(times):
        clock.now += 1
        health.before_tick()
        clock.now += took
        health.after_tick(is_available=is_available)


def test_a_new_supervisor_declares_no_process_dead(clock: Clock) -> None:
    health = StoreHealth(clock)
    tick(health, clock, times=int(LEASE_SECONDS) - 1)

    assert not health.is_trustworthy()


@pytest.mark.parametrize(
    ("took", "is_available"),
    [pytest.param(0.0, False, id="the store was away"), pytest.param(3.0, True, id="the store was slow")],
)
def test_after_a_bad_tick_a_leases_time_must_pass(
    took: float, is_available: bool, health: StoreHealth, clock: Clock
) -> None:
    tick(health, clock, took=took, is_available=is_available)
    assert not health.is_trustworthy()

    tick(health, clock, times=int(LEASE_SECONDS) - 1)
    assert not health.is_trustworthy()
    tick(health, clock)

    assert health.is_trustworthy()


def test_a_suspended_machine_declares_no_process_dead(health: StoreHealth, clock: Clock) -> None:
    clock.now += 3600
    health.before_tick()

    assert not health.is_trustworthy()


@pytest.mark.parametrize("step", [pytest.param(30.0, id="set forward"), pytest.param(-30.0, id="set back")])
def test_after_a_step_of_the_stores_clock_a_leases_time_must_pass(
    step: float, health: StoreHealth, clock: Clock
) -> None:
    health.compare_clocks(5_000.0 + clock.now)
    tick(health, clock, times=int(LEASE_SECONDS))
    health.compare_clocks(5_000.5 + clock.now)
    assert health.is_trustworthy()

    health.compare_clocks(5_000.5 + step + clock.now)
    assert not health.is_trustworthy()
    tick(health, clock, times=int(LEASE_SECONDS))
    health.compare_clocks(5_000.5 + step + clock.now)

    assert health.is_trustworthy()


def test_after_a_new_connection_a_leases_time_must_pass(health: StoreHealth, clock: Clock) -> None:
    health.distrust()
    assert not health.is_trustworthy()

    tick(health, clock, times=int(LEASE_SECONDS))

    assert health.is_trustworthy()
