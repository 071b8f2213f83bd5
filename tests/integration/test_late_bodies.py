"""A transactional delivery whose body exceeds the timeout is not decided; an existing decision is answered."""

import asyncio
import time

import pytest
import redis

from harness.events import a_body, an_event
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Response
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.settings import Settings
from surehook.workers.transactional.protocol import TransactionProtocol as Room
from surehook.workers.transactional.transaction import Outcome
from tests.integration.test_session import running, until
from tests.support.ledger import ledger
from tests.support.transactions import KEYS, Protocol


def ask_too_late(settings: Settings, envelope: Envelope) -> Response:
    async def run() -> Response:
        async with running(settings) as acceptor:
            await until(lambda: acceptor.is_ready)
            asking = Coordinator(settings, IngestMetrics(), acceptor.session)
            began = time.perf_counter() - settings.transaction_timeout
            return await asking.decide(envelope, asyncio.Future(), began)

    return asyncio.run(run())


@pytest.fixture
def asked(settings: Settings) -> Settings:
    return settings.model_copy(update={"transactional_events": ("user.create",)})


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome("completed"), 200), (Outcome("rejected", "not you"), 422), (Outcome("failed"), 500)],
    ids=lambda value: value.outcome if isinstance(value, Outcome) else "",
)
def test_a_late_copy_of_a_decided_event_gets_the_same_answer(
    outcome: Outcome, status: int, asked: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    number = protocol.submit(envelope.event_id, "endpoint").round
    room = Room(store, KEYS, "worker", "worker")
    transaction = room.claim()
    assert transaction is not None
    room.settle(transaction, outcome)
    protocol.confirm(envelope.event_id, number)

    answer = ask_too_late(asked, envelope)

    assert answer.status == status
    assert outcome.reason.encode() in answer.body


def test_a_late_new_event_is_neither_decided_nor_kept(asked: Settings, store: redis.Redis, protocol: Protocol) -> None:
    protocol.beat("worker")

    assert ask_too_late(asked, parse_envelope(a_body(an_event("user.create")))).status == 504

    assert ledger(store) == {"open": 0}


def test_a_late_copy_does_not_disturb_a_client_that_still_waits(
    asked: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    number = protocol.submit(envelope.event_id, "endpoint").round

    assert ask_too_late(asked, envelope).status == 504

    room = Room(store, KEYS, "worker", "worker")
    transaction = room.claim()
    assert transaction is not None
    assert room.settle(transaction, Outcome("completed")) == "completed"
    assert protocol.confirm(envelope.event_id, number) == ("completed", "")
