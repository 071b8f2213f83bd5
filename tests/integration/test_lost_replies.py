"""The store's replies about a transaction are lost: the endpoint retries until its deadline, then counts it."""

import asyncio
import time
from functools import partial
from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Response
from surehook.ingest.store.script_batcher import LazyArgument, ScriptBatcher
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import StoreUnavailable
from surehook.shared.scripts import Argument
from surehook.shared.settings import Settings
from surehook.workers.transactional.protocol import TransactionProtocol as Room
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.test_session import running, until
from tests.support.transactions import KEYS, Protocol

EVER = 1000
# The tests let this time pass, and the event must be claimed within it.
TIMEOUT_SECONDS = 2.0


class LossyBatcher(ScriptBatcher):
    """Runs the script but loses its reply, the first `times` times."""

    def __init__(self, *args: Any, loses: str, times: int) -> None:
        super().__init__(*args)
        self.loses = loses
        self.times = times

    async def call(self, name: str, *args: Argument | LazyArgument) -> Any:
        reply = await super().call(name, *args)
        if name == self.loses and self.times:
            self.times -= 1
            raise StoreUnavailable("the reply is lost")
        return reply


async def claim(room: Room, answer: "asyncio.Task[Response]") -> Transaction:
    while not (claimed := room.claim()):
        assert not answer.done(), "it is claimed before its deadline"
        await asyncio.sleep(0.01)
    return claimed


def play(settings: Settings, envelope: Envelope, room: Room, metrics: IngestMetrics) -> Response:
    """A success whose notification is lost, as is the reply when the endpoint asks at its deadline."""

    async def run() -> Response:
        async with running(settings) as acceptor:
            await until(lambda: acceptor.is_ready)
            asking = Coordinator(settings, metrics, acceptor.session)
            # No task listens for decisions, because `run` was not called.
            answer = asyncio.create_task(asking.decide(envelope, asyncio.Future(), time.perf_counter()))
            claimed = await claim(room, answer)
            assert room.settle(claimed, Outcome("completed")) == "completed"
            return await answer

    return asyncio.run(run())


@pytest.mark.parametrize(("times", "counted"), [(1, 0), (EVER, 1)], ids=["once", "each time"])
def test_a_success_confirmed_at_the_deadline_survives_a_lost_reply(
    times: int,
    counted: int,
    settings: Settings,
    store: redis.Redis,
    protocol: Protocol,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    asked = settings.model_copy(
        update={"transactional_events": ("user.create",), "transaction_timeout": TIMEOUT_SECONDS}
    )
    deaf = partial(LossyBatcher, loses="txn_abandon", times=times)
    monkeypatch.setattr("surehook.ingest.transactional.coordinator.ScriptBatcher", deaf)
    room, metrics = Room(store, KEYS, "worker", "worker"), IngestMetrics()

    if counted:
        with pytest.raises(StoreUnavailable):
            play(asked, envelope, room, metrics)
    else:
        assert play(asked, envelope, room, metrics).status == 200

    assert store.hget(KEYS.event(envelope.event_id), "decision") == b"completed"
    assert metrics.registry.get_sample_value("surehook_responses_lost_after_confirm_total") == counted
    listed = store.zrange(KEYS.decided("unanswered"), 0, -1)
    assert listed == [envelope.event_id.encode()] * counted
    assert protocol.resolve(envelope.event_id) == bool(counted)
    assert store.zcard(KEYS.decided("unanswered")) == 0


def test_a_success_that_was_not_confirmed_is_no_lost_response(
    settings: Settings, store: redis.Redis, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call reaches the store any more when the outcome arrives."""
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    asked = settings.model_copy(
        update={"transactional_events": ("user.create",), "transaction_timeout": TIMEOUT_SECONDS}
    )
    metrics = IngestMetrics()
    room = Room(store, KEYS, "worker", "worker")

    async def run() -> None:
        async with running(asked) as acceptor:
            await until(lambda: acceptor.is_ready)
            asking = Coordinator(asked, metrics, acceptor.session)
            task = asyncio.create_task(asking.run())
            answer = asyncio.create_task(asking.decide(envelope, asyncio.Future(), time.perf_counter()))
            claimed = await claim(room, answer)
            monkeypatch.setattr(ScriptBatcher, "call", cut_off)
            room.settle(claimed, Outcome("completed"))
            with pytest.raises(StoreUnavailable):
                await answer
            monkeypatch.undo()
            asking.stop()
            await task

    asyncio.run(run())

    assert metrics.registry.get_sample_value("surehook_responses_lost_after_confirm_total") == 0
    assert store.zcard(KEYS.decided("unanswered")) == 0


async def cut_off(*_: object) -> None:
    raise StoreUnavailable("the store is away")
