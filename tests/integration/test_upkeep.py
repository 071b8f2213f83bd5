from typing import Any

import pytest
import redis

from workers.upkeep import Upkeep
from workers.worker import Crew


class HoldsNothing:
    def held(self) -> list[Any]:
        return []


@pytest.fixture
def upkeep(store: redis.Redis, claims_of: Any) -> Upkeep:
    conveyor: Any = HoldsNothing()
    return Upkeep(Crew(store, "events", ["w.1"]), conveyor, claims_of("w"), "events")


def test_a_worker_that_the_store_forgot_registers_again(upkeep: Upkeep, store: redis.Redis) -> None:
    upkeep.tick()

    assert store.smembers("rq:workers") == {b"rq:worker:w.1"}
