from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.keys import Keys
from surehook.workers.maintenance import heartbeat as heartbeat_module
from surehook.workers.maintenance.heartbeat import Heartbeat
from surehook.workers.queue.claims import DUE_AT_ONCE
from surehook.workers.rq_worker import RQWorkers


class HoldsNothing:
    def jobs(self) -> list[Any]:
        return []


@pytest.fixture
def heartbeat(store: redis.Redis, claims_of: Any) -> Heartbeat:
    fetcher: Any = HoldsNothing()
    return Heartbeat(RQWorkers(store, Keys(), "events", ["w.1"]), fetcher, claims_of("w"))


def test_a_worker_that_the_store_forgot_registers_again(heartbeat: Heartbeat, store: redis.Redis) -> None:
    heartbeat.tick()

    assert store.smembers("rq:workers") == {b"rq:worker:w.1"}


def schedule(store: redis.Redis, count: int) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(count)]
    with store.pipeline(transaction=False) as pipeline:
        for event_id in ids:
            pipeline.hset(Keys().event(event_id), "type", "user.delete")
        pipeline.execute()
    store.zadd("rq:scheduled:events", dict.fromkeys(ids, 1))


def test_all_retries_that_are_due_at_once_move_in_one_tick(
    heartbeat: Heartbeat, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "TICK_SECONDS", 600.0)
    schedule(store, 6 * DUE_AT_ONCE)

    heartbeat.tick()

    assert store.llen("rq:queue:events") == 6 * DUE_AT_ONCE


def test_retries_that_are_due_wait_for_the_next_tick_when_this_one_is_over(
    heartbeat: Heartbeat, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "TICK_SECONDS", 0.0)
    schedule(store, 2 * DUE_AT_ONCE)

    heartbeat.tick()

    assert store.llen("rq:queue:events") == DUE_AT_ONCE


def test_a_process_that_lives_for_less_than_a_tick_moves_retries_too(
    heartbeat: Heartbeat, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "TICK_SECONDS", 600.0)
    schedule(store, 1)

    heartbeat.start()
    try:
        wait_until(lambda: store.llen("rq:queue:events") == 1, "at once")
    finally:
        heartbeat.stop()
        heartbeat.join()
