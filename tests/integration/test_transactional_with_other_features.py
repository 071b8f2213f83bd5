"""Transactions together with encryption, erasure, paused queues and the ledger."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import a_body, an_event
from harness.stack import wait_until
from surehook.admin.erasure import Erasure
from surehook.admin.events import EventLog
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.shared.stats import StatsReader
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS, Counts
from tests.support.endpoint import open_endpoint
from tests.support.ledger import is_balanced, ledger
from tests.support.transaction_exchange import wait
from tests.support.transactional_client import ExecutorFactory
from tests.support.transactions import Protocol

SECRET = SecretStr(Fernet.generate_key().decode())


def test_a_worker_without_the_key_leaves_it_to_one_that_has_it(
    settings: Settings, store: redis.Redis, protocol: Protocol, transactional_executor: ExecutorFactory, counts: Counts
) -> None:
    ran: list[str] = []
    on("user.create", name="check", transactional=True)(lambda event: ran.append(event.user.email))
    event = an_event("user.create")
    protocol.beat("worker")
    terms = {"transactional_events": ("user.create",), "transaction_timeout": 10, "encryption_keys": (SECRET,)}

    with open_endpoint(settings.model_copy(update=terms)) as endpoint, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(endpoint.deliver, event)
        poor, rich = transactional_executor("poor", BodyCipher()), transactional_executor("rich", BodyCipher([SECRET]))
        wait_until(lambda: poor.run_until_idle(0.05) or poor.missing_key.is_missing, "it was met")
        stored = store.hget(KEYS.event(event["id"]), "body") or b""
        assert b"mara" not in stored
        assert stored != a_body(event)
        assert not ran
        assert poor.missing_key.is_paused()
        assert counts.not_ready == {"key_missing"}
        wait_until(lambda: rich.run_until_idle(0.05), "it ran")
        assert answer.result().status_code == 200

    assert ran == [event["user"]["email"]]
    wait_until(lambda: not poor.missing_key.is_paused(), "it looks again, and nothing is missed")
    assert is_balanced(store)


def test_a_transaction_given_back_too_late_never_runs(store: redis.Redis, protocol: Protocol) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    protocol.abandon(event_id, transaction.round)

    assert not worker.give_back(transaction)
    assert not worker.give_back(transaction)
    assert store.llen(Keys().rq_queue(TRANSACTIONAL_QUEUE)) == 0
    assert store.zcard(KEYS.orphans) == 0
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_a_transaction_in_hand_is_erased_when_it_is_over_and_its_answer_stands(
    store: redis.Redis, protocol: Protocol
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    erasure = Erasure(store, KEYS, BodyCipher(), retention_seconds=3600)

    assert erasure.erase(event_id).outcome == "running"
    assert worker.settle(transaction, Outcome("completed", commit_jobs="tell events 30")) == "completed"
    assert protocol.confirm(event_id, transaction.round) == ("completed", "")

    assert store.hget(KEYS.event(event_id), "body") is None
    assert store.llen(Keys().rq_queue("events")) == 0
    assert protocol.submit(event_id, "endpoint").state == "completed"
    assert ledger(store) == {"open": 0, "accepted": 1, "erased": 1}


def test_a_worker_that_gave_an_event_back_is_ignored(store: redis.Redis, protocol: Protocol) -> None:
    _, worker, transaction = _claimed(store, protocol)
    other = TransactionProtocol(store, KEYS, "two", "worker")
    assert worker.give_back(transaction)
    again = other.claim()
    assert again is not None

    assert worker.settle(transaction, Outcome("rejected")) == "stale"

    assert other.settle(again, Outcome("completed")) == "completed"


@pytest.mark.parametrize("undo", ["", "back events 30"], ids=["nothing to undo", "undone"])
def test_an_orphan_does_not_expire_until_a_person_has_resolved_it(
    undo: str, store: redis.Redis, protocol: Protocol, claims_of: Callable[..., Any]
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    protocol.abandon(event_id, transaction.round)
    worker.settle(transaction, Outcome("completed", undo_jobs=undo))
    claims = claims_of()
    if claim := claims.claim():
        assert claims.finish(claim, "done", None)

    assert store.ttl(KEYS.event(event_id)) == -1
    assert protocol.resolve(event_id)
    assert 0 < store.ttl(KEYS.event(event_id)) <= 3600
    assert not protocol.resolve(event_id)


def test_an_orphan_that_is_erased_is_off_the_list(store: redis.Redis, protocol: Protocol) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    protocol.abandon(event_id, transaction.round)
    assert worker.settle(transaction, Outcome("completed", undo_jobs="back events 30")) == "abandoned"

    assert Erasure(store, KEYS, BodyCipher(), retention_seconds=3600).erase(event_id).outcome == "erased"

    assert store.zcard(KEYS.orphans) == 0
    assert store.llen(Keys().rq_queue("events")) == 0
    assert StatsReader(store, KEYS).read().drift == 0


def test_a_paused_queue_starts_nothing_and_loses_nothing(store: redis.Redis, protocol: Protocol) -> None:
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    worker = TransactionProtocol(store, KEYS, "one", "worker")
    store.sadd(KEYS.paused, TRANSACTIONAL_QUEUE)

    assert wait(store, worker, 1) is None
    assert worker.claim() is None
    store.srem(KEYS.paused, TRANSACTIONAL_QUEUE)
    assert wait(store, worker, 0.01) is not None


def test_the_ledger_balances_at_every_step(store: redis.Redis, protocol: Protocol, look: Callable[..., Any]) -> None:
    def drift() -> int:
        assert look() == []
        return StatsReader(store, KEYS).read().drift

    protocol.beat("worker")
    event_id = str(uuid4())
    steps = [drift()]
    number = protocol.submit(event_id, "endpoint").round
    steps.append(drift())
    worker = TransactionProtocol(store, KEYS, "one", "worker")
    transaction = worker.claim()
    assert transaction is not None
    steps.append(drift())
    worker.settle(transaction, Outcome("completed", commit_jobs="one events 30 two other 30"))
    steps.append(drift())
    protocol.confirm(event_id, number)
    steps.append(drift())

    assert steps == [0] * 5
    assert StatsReader(store, KEYS).read().extra_jobs == 1


def test_the_undo_of_a_refusal_is_not_replayed_as_an_event(
    store: redis.Redis, protocol: Protocol, claims_of: Callable[..., Any]
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Outcome("rejected", undo_jobs="back events 30"))
    claims = claims_of()
    assert claims.finish(claims.claim(), "done", None)
    assert text(store.hget(KEYS.event(event_id), "outcome")) == "done"

    assert not EventLog(store, KEYS, handler_timeout=30).replay(event_id)


def _claimed(store: redis.Redis, protocol: Protocol) -> tuple[str, TransactionProtocol, Transaction]:
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    worker = TransactionProtocol(store, KEYS, "one", "worker")
    transaction = worker.claim()
    assert transaction is not None
    return event_id, worker, transaction
