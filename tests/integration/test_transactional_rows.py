"""A transactional event has its whole row in the index as soon as it closes."""

from typing import Any
from uuid import uuid4

import pytest
import redis

from harness.events import an_event
from surehook import Event, Reject
from surehook.admin.events import EventFilter
from surehook.admin.search import EventSearch
from surehook.shared.encryption import BodyCipher
from surehook.shared.event_index import IS_FINISHED, TYPE
from surehook.shared.index_key import IndexKey
from surehook.workers.handlers.registry import on
from surehook.workers.queue.index_facts import IndexFacts
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.transactions import Protocol

FINISHED = IS_FINISHED - TYPE  # the facts begin with the type


def refuse(_: Event) -> None:
    raise Reject("no")


def agree(_: Event) -> None:
    pass


def fail(_: Event) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        pytest.param(refuse, "rejected", id="a refusal"),
        pytest.param(agree, "completed", id="a success"),
        pytest.param(fail, "failed", id="a failure"),
    ],
)
def test_the_worker_that_decides_an_event_adds_its_address_to_the_row(
    store: redis.Redis, decide: Any, handler: Any, outcome: str
) -> None:
    on("user.create", name="check", transactional=True)(handler)
    event = an_event("user.create")

    decide(event)

    assert store.scard(KEYS.index_unfinished) == 0
    found = EventSearch(store, KEYS, BodyCipher()).page(EventFilter(email=event["user"]["email"])).events
    assert [(each.event_id, each.state) for each in found] == [(event["id"], outcome)]


def test_an_event_whose_arrival_was_changed_by_hand_gets_its_answer(store: redis.Redis, protocol: Protocol) -> None:
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    store.hset(KEYS.event(event_id), "received_at", "yesterday")
    worker = TransactionProtocol(store, KEYS, "worker", "worker")

    transaction = worker.claim()

    assert transaction is not None
    assert worker.settle(transaction, Outcome("rejected", "no")) == "rejected"


def test_a_key_that_cannot_be_read_is_asked_for_again(store: redis.Redis) -> None:
    facts = IndexFacts(IndexKey(store, KEYS, BodyCipher()))
    event = Transaction(str(uuid4()), "round", 1.0, "user.create", "", "", b"", received_ms=1)
    store.set(KEYS.index_key, "changed by hand")
    facts.load_key()
    assert not facts.of(event, None, "ada@example.com")[FINISHED]
    store.delete(KEYS.index_key)

    facts.load_key()

    assert facts.of(event, None, "ada@example.com")[FINISHED]
