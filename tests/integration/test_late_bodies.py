"""A transactional delivery whose body took longer than the timeout: nothing is asked, and what stands is answered."""

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
from surehook.workers.transactional.protocol import Outcome
from surehook.workers.transactional.protocol import TransactionProtocol as Room
from tests.integration.test_session import running, until
from tests.support.ledger import ledger
from tests.support.transactions import KEYS, Protocol


def ask_too_late(settings: Settings, envelope: Envelope) -> Response:
    async def nobody_hangs_up() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def run() -> Response:
        async with running(settings) as intake:
            await until(lambda: intake.is_ready)
            asking = Coordinator(settings, IngestMetrics(), intake.session)
            began = time.perf_counter() - settings.transaction_timeout
            return await asking.decide(envelope, nobody_hangs_up, began)

    return asyncio.run(run())


@pytest.fixture
def asked(settings: Settings) -> Settings:
    return settings.model_copy(update={"transactional_events": ("user.create",)})


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Outcome("completed"), 200), (Outcome("rejected", "not you"), 422), (Outcome("failed"), 500)],
    ids=lambda value: value.outcome if isinstance(value, Outcome) else "",
)
def test_a_late_copy_of_a_decided_event_gets_the_same_answer(
    verdict: Outcome, status: int, asked: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    number = protocol.submit(envelope.event_id, "door").round
    room = Room(store, KEYS, "worker", "worker")
    transaction = room.claim()
    assert transaction is not None
    room.settle(transaction, verdict)
    protocol.confirm(envelope.event_id, number)

    answer = ask_too_late(asked, envelope)

    assert answer.status == status
    assert verdict.reason.encode() in answer.body


def test_a_late_event_that_is_new_is_not_asked_about_and_not_kept(
    asked: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    protocol.beat("worker")

    assert ask_too_late(asked, parse_envelope(a_body(an_event("user.create")))).status == 504

    assert ledger(store) == {"open": 0}


def test_a_late_copy_leaves_alone_whoever_still_waits(asked: Settings, store: redis.Redis, protocol: Protocol) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("worker")
    number = protocol.submit(envelope.event_id, "door").round

    assert ask_too_late(asked, envelope).status == 504

    room = Room(store, KEYS, "worker", "worker")
    transaction = room.claim()
    assert transaction is not None
    assert room.settle(transaction, Outcome("completed")) == "completed"
    assert protocol.confirm(envelope.event_id, number) == ("completed", "")
