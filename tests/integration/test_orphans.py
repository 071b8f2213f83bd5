"""Successes that did not reach the client: late, cut off, or with a client that disconnected."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from harness.stack import wait_until
from surehook import Event, on
from surehook.ingest.body import SenderLeft
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.session import Session
from surehook.ingest.transactional.coordinator import Coordinator as Asking
from surehook.shared.envelope import parse_envelope
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.integration.test_left_behind import context
from tests.integration.test_session import until
from tests.support.endpoint import OpenEndpoint
from tests.support.ledger import is_balanced, ledger
from tests.support.run_context import TestContext
from tests.support.transaction_exchange import settle_and_wait
from tests.support.transactional_client import short_transactions
from tests.support.transactions import Protocol

__all__ = ["context"]  # a fixture


def test_a_handler_cut_off_at_the_deadline_is_an_orphan(transactional_executor: Any, context: TestContext) -> None:
    event = an_event("user.create")
    is_stuck, has_ended = threading.Event(), threading.Event()

    def stick(_: Event) -> None:
        """In small steps: no exception reaches a thread inside of one."""
        is_stuck.set()
        forever = time.monotonic() + 60
        while time.monotonic() < forever:
            time.sleep(0.01)
        has_ended.set()

    on("user.create", name="first", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    on("user.create", name="stuck", transactional=True, on_abandoned=lambda event: None)(stick)

    decider = transactional_executor().decider

    def decide() -> Outcome | None:
        """None if the deadline came before the second handler, as on a busy machine."""
        asked = Transaction(event["id"], "r", 0.3, "user.create", "", "", a_body(event), read_at=time.monotonic())
        outcome: Outcome = decider.decide(asked, context)
        return outcome if is_stuck.is_set() else None

    outcome = wait_until(decide, "the second handler is cut off")

    assert outcome is not None
    assert not has_ended.is_set()
    assert (outcome.outcome, outcome.is_unknown) == ("failed", True)
    assert outcome.undo_jobs == "stuck-abandoned events 30 first-abandoned events 30"
    assert [attempt.outcome for attempt in outcome.attempts] == ["done", "timed out"]


@short_transactions
def test_a_success_that_came_too_late_is_an_orphan_once(
    transactional_endpoint: OpenEndpoint, transactional_executor: Any, store: redis.Redis, protocol: Protocol
) -> None:
    event = an_event("user.create")
    on("user.create", name="check", transactional=True)(
        lambda _: protocol.abandon(event["id"], text(store.hget(KEYS.transaction(event["id"]), "round")))
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(transactional_endpoint.deliver, event)
        wait_until(lambda: transactional_executor().run_until_idle(0.05), "it ran")
        assert answer.result().status_code == 504

    assert store.zrange(KEYS.orphans, 0, -1) == [event["id"].encode()]
    assert ledger(store)["orphaned"] == 1
    assert is_balanced(store)


def test_a_store_that_lacks_one_of_the_two_scripts_of_an_exchange_loses_no_orphan(
    store: redis.Redis, protocol: Protocol
) -> None:
    event_id = an_event()["id"]
    protocol.beat("worker")
    number = protocol.submit(event_id, "endpoint").round
    room = TransactionProtocol(store, KEYS, "worker", "worker")
    store.script_flush()
    transaction = room.claim()
    assert transaction
    protocol.abandon(event_id, number)

    assert settle_and_wait(store, room, transaction, Outcome("completed"), 0.01) == ("abandoned", None)

    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]


def test_a_sender_that_hangs_up_abandons_at_once(settings: Settings, store: redis.Redis, protocol: Protocol) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")

    async def hang_up() -> None:
        while not store.exists(KEYS.transaction(envelope.event_id)):  # noqa: ASYNC110 - the store has no event to await
            await asyncio.sleep(0)

    async def run() -> None:
        asked = settings.model_copy(update={"transactional_events": ("user.create",), "transaction_timeout": 60})
        link = Session(asked, IngestMetrics())
        asking = Asking(asked, IngestMetrics(), link)
        linked, running = asyncio.create_task(link.run()), asyncio.create_task(asking.run())
        await until(lambda: link.connection is not None)
        with pytest.raises(SenderLeft):
            await asking.decide(envelope, asyncio.create_task(hang_up()), time.perf_counter())
        asking.stop()
        await running
        link.stop()
        await linked

    asyncio.run(run())

    assert store.hget(KEYS.transaction(envelope.event_id), "state") == b"abandoned"
    assert store.llen(Keys().rq_queue(TRANSACTIONAL_QUEUE)) == 0
