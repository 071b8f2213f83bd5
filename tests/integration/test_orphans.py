"""Successes that nobody was told of: late, cut off, or with a sender that hung up."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from ingest.body import SenderLeft
from ingest.metrics import DoorMetrics
from ingest.transactions import Transactions
from shared.events import parse_envelope
from shared.keys import TRANSACTIONAL_QUEUE, rq_queue
from shared.replies import text
from shared.settings import Settings
from surehook import Event, on
from tests.integration.conftest import KEYS
from tests.support.door import OpenDoor
from tests.support.events import a_body, an_event
from tests.support.house import wait_until
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of


def test_a_handler_is_cut_off_at_the_deadline_and_undone(ask: Any, store: redis.Redis) -> None:
    undone: list[Event] = []
    on("user.create", name="vote", transactional=True, on_abandoned=undone.append)(lambda event: time.sleep(5))
    event = an_event("user.create")

    began = time.monotonic()
    response = ask(event)

    assert response.status_code in (500, 504)  # it was stopped just before the deadline by our clock, or just after
    assert time.monotonic() - began < 4
    wait_until(lambda: store.zscore(KEYS.orphans, event["id"]), "it is an orphan")
    assert jobs_of(store, event["id"]) == ["vote-abandoned"]


def test_a_success_that_came_too_late_is_an_orphan_once(
    asking_door: OpenDoor, voting: Any, store: redis.Redis, protocol: Protocol
) -> None:
    event = an_event("user.create")
    on("user.create", name="vote", transactional=True)(
        lambda _: protocol.abandon(event["id"], text(store.hget(KEYS.transaction(event["id"]), "round")))
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asking_door.deliver, event)
        wait_until(lambda: voting().turn(0.05), "it ran")
        assert answer.result().status_code == 504

    assert store.zrange(KEYS.orphans, 0, -1) == [event["id"].encode()]
    assert ledger(store)["orphaned"] == 1
    assert is_balanced(store)


def test_a_sender_that_hangs_up_abandons_at_once(settings: Settings, store: redis.Redis, protocol: Protocol) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("room")

    async def hang_up() -> dict[str, str]:
        while not store.exists(KEYS.transaction(envelope.event_id)):  # noqa: ASYNC110 - the store has no event to await
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def run() -> None:
        asked = settings.model_copy(update={"transactional_events": ("user.create",), "transaction_timeout": 60})
        asking = Transactions(asked, DoorMetrics())
        running = asyncio.create_task(asking.run())
        with pytest.raises(SenderLeft):
            await asking.ask(envelope, hang_up, time.perf_counter())
        asking.stop()
        await running

    asyncio.run(run())

    assert store.hget(KEYS.transaction(envelope.event_id), "state") == b"abandoned"
    assert store.llen(rq_queue(TRANSACTIONAL_QUEUE)) == 0
