"""A transactional delivery whose body took longer than the timeout: nothing is asked, and what stands is answered."""

import asyncio
import time

import pytest
import redis

from ingest.answers import Answer
from ingest.metrics import DoorMetrics
from ingest.transactions import Transactions
from shared.events import Envelope, parse_envelope
from shared.settings import Settings
from tests.integration.test_link import running, until
from tests.support.events import a_body, an_event
from tests.support.ledger import ledger
from tests.support.transactions import KEYS, Protocol
from workers.transactions import Transactions as Room
from workers.transactions import Verdict


def ask_too_late(settings: Settings, envelope: Envelope) -> Answer:
    async def nobody_hangs_up() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def run() -> Answer:
        async with running(settings) as intake:
            await until(lambda: intake.is_ready)
            asking = Transactions(settings, DoorMetrics(), intake.link)
            began = time.perf_counter() - settings.transaction_timeout
            return await asking.ask(envelope, nobody_hangs_up, began)

    return asyncio.run(run())


@pytest.fixture
def asked(settings: Settings) -> Settings:
    return settings.model_copy(update={"transactional_events": ("user.create",)})


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Verdict("completed"), 200), (Verdict("rejected", "not you"), 422), (Verdict("failed"), 500)],
    ids=lambda value: value.outcome if isinstance(value, Verdict) else "",
)
def test_a_late_copy_of_a_decided_event_gets_the_same_answer(
    verdict: Verdict, status: int, asked: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("room")
    number = protocol.submit(envelope.event_id, "door").round
    room = Room(store, KEYS, "room", "room")
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
    protocol.beat("room")

    assert ask_too_late(asked, parse_envelope(a_body(an_event("user.create")))).status == 504

    assert ledger(store) == {"open": 0}


def test_a_late_copy_leaves_alone_whoever_still_waits(asked: Settings, store: redis.Redis, protocol: Protocol) -> None:
    envelope = parse_envelope(a_body(an_event("user.create")))
    protocol.beat("room")
    number = protocol.submit(envelope.event_id, "door").round

    assert ask_too_late(asked, envelope).status == 504

    room = Room(store, KEYS, "room", "room")
    transaction = room.claim()
    assert transaction is not None
    assert room.settle(transaction, Verdict("completed")) == "completed"
    assert protocol.confirm(envelope.event_id, number) == ("completed", "")
