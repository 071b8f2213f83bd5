"""A handler asks its attempt whether it is still its own, and is told by what the store says."""

import threading
from queue import SimpleQueue
from typing import Any

import redis

from shared.replies import texts
from surehook import Attempt, Event, on
from tests.integration.conftest import KEYS, Accept, Counts, Open
from tests.support.house import wait_until
from workers.upkeep import Upkeep
from workers.worker import Crew


def test_a_handler_whose_lease_another_took_learns_it_at_the_next_renewal(
    accept: Accept, open_hall: Open, claims_of: Any, counts: Counts, store: redis.Redis
) -> None:
    answers: SimpleQueue[bool] = SimpleQueue()
    ask = threading.Semaphore(0)

    @on("user.delete", name="it")
    def it(_: Event, attempt: Attempt) -> None:
        for _number in range(3):
            ask.acquire(timeout=20)
            answers.put(attempt.is_ours())

    def is_ours() -> bool:
        ask.release()
        return answers.get(timeout=20)

    event_id = accept()
    hall = open_hall(threads=1).start()
    crew = Crew(store, "events", [hall.threads[0].name])

    def upkeep() -> Upkeep:
        return Upkeep(crew, hall.conveyor, claims_of("hall"), "events")

    upkeep().tick()
    assert is_ours()
    (claim,) = texts(store.zrange(KEYS.leases("events"), 0, -1))
    upkeep().tick()
    assert is_ours()

    store.zrem(KEYS.leases("events"), claim)  # as when it lapsed and was recovered by another
    upkeep().tick()

    assert not is_ours()
    wait_until(lambda: counts.discarded == 1, "what it did no longer counts")
    assert store.zscore(KEYS.open, event_id)
