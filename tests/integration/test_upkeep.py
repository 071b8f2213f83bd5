from typing import Any

import pytest
import redis

from tests.integration.conftest import KEYS, Accept, Counts
from tests.integration.test_leases import let_lapse
from tests.support.house import wait_until
from workers.registry import Registry
from workers.steadiness import Steadiness
from workers.upkeep import Upkeep
from workers.worker import Crew


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class HoldsNothing:
    def held(self) -> list[Any]:
        return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def upkeep(store: redis.Redis, claims_of: Any, counts: Counts, clock: Clock) -> Upkeep:
    metrics: Any = counts
    conveyor: Any = HoldsNothing()
    crew = Crew(store, "events", ["w.1"])
    return Upkeep(store, KEYS, crew, conveyor, claims_of("w"), Registry([]), metrics, "events", Steadiness(clock))


def test_a_lapsed_lease_is_recovered_only_once_everybody_could_have_renewed(
    accept: Accept, claims_of: Any, upkeep: Upkeep, clock: Clock, store: redis.Redis
) -> None:
    accept()
    let_lapse(store, claims_of("silent").claim())

    upkeep.tick()
    assert store.llen("rq:queue:events") == 0
    clock.now += 11

    def is_recovered() -> bool:
        upkeep.tick()
        return store.llen("rq:queue:events") == 1

    wait_until(is_recovered, "recovered, once the store itself is up for a lease's time")


def test_a_worker_that_the_store_forgot_registers_again(upkeep: Upkeep, store: redis.Redis) -> None:
    upkeep.tick()

    assert store.smembers("rq:workers") == {b"rq:worker:w.1"}
