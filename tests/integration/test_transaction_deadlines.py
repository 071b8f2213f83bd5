"""A transaction's deadline and its round bound what each script may do."""

from uuid import uuid4

import pytest
import redis

from surehook.shared.scripts import Script, text
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of, jump

PAST_THE_DEADLINE_MS = 75_000
UNDO = "check-abandoned events 30"
COMPLETED = Outcome("completed", undo_jobs=UNDO, commit_jobs="greet events 30")


@pytest.fixture
def event_id() -> str:
    return str(uuid4())


@pytest.fixture
def worker(store: redis.Redis) -> TransactionProtocol:
    return TransactionProtocol(store, KEYS, "worker", "worker")


def submit(protocol: Protocol, event_id: str) -> str:
    protocol.beat("worker")
    return protocol.submit(event_id, "endpoint").round


def claim(worker: TransactionProtocol) -> Transaction:
    transaction = worker.claim()
    assert transaction is not None
    return transaction


def decision_of(store: redis.Redis, event_id: str) -> str:
    return text(store.hget(KEYS.event(event_id), "decision"))


def test_an_event_past_its_deadline_does_not_start(protocol: Protocol, event_id: str, store: redis.Redis) -> None:
    submit(protocol, event_id)
    jump(store, PAST_THE_DEADLINE_MS)

    assert Script("txn_claim", KEYS).run(store, "worker", "worker", 1, "") == [None]

    assert decision_of(store, event_id) == "abandoned"
    assert not store.exists(KEYS.run_of("worker"))
    assert is_balanced(store)


def test_an_event_past_its_deadline_does_not_start_in_place_of_a_lost_claim(
    protocol: Protocol, event_id: str, store: redis.Redis
) -> None:
    submit(protocol, event_id)
    claims = Script("txn_claim", KEYS)
    assert claims.run(store, "worker", "worker", 1, "") != [None]  # its reply is lost
    jump(store, PAST_THE_DEADLINE_MS)

    assert claims.run(store, "worker", "worker", 2, "") == [None]

    assert decision_of(store, event_id) == "abandoned"
    assert is_balanced(store)


def test_a_success_is_not_confirmed_past_the_time_to_confirm(
    protocol: Protocol, event_id: str, worker: TransactionProtocol, store: redis.Redis
) -> None:
    number = submit(protocol, event_id)
    assert worker.settle(claim(worker), COMPLETED) == "completed"
    jump(store, PAST_THE_DEADLINE_MS)

    assert protocol.confirm(event_id, number) == ("abandoned", "")

    assert jobs_of(store, event_id) == ["check-abandoned"]
    assert ledger(store)["orphaned"] == store.zcard(KEYS.orphans) == 1


def test_a_success_past_the_time_to_confirm_is_no_answer_to_a_copy(
    protocol: Protocol, event_id: str, worker: TransactionProtocol, store: redis.Redis
) -> None:
    submit(protocol, event_id)
    assert worker.settle(claim(worker), COMPLETED) == "completed"
    jump(store, PAST_THE_DEADLINE_MS)

    assert protocol.submit(event_id, "another").state == "abandoned"

    assert jobs_of(store, event_id) == ["check-abandoned"]


def test_a_run_given_back_past_its_deadline_is_over(
    protocol: Protocol, event_id: str, worker: TransactionProtocol, store: redis.Redis
) -> None:
    submit(protocol, event_id)
    transaction = claim(worker)
    jump(store, PAST_THE_DEADLINE_MS)

    assert not worker.give_back(transaction)

    assert decision_of(store, event_id) == "abandoned"
    assert store.llen("rq:queue:transactional") == 0
    assert is_balanced(store)


def test_an_outcome_past_the_deadline_is_undone(
    protocol: Protocol, event_id: str, worker: TransactionProtocol, store: redis.Redis
) -> None:
    submit(protocol, event_id)
    transaction = claim(worker)
    jump(store, PAST_THE_DEADLINE_MS)

    assert worker.settle(transaction, COMPLETED) == "abandoned"

    assert jobs_of(store, event_id) == ["check-abandoned"]


def test_a_request_of_an_earlier_round_does_not_confirm_the_present_one(
    protocol: Protocol, event_id: str, worker: TransactionProtocol, store: redis.Redis
) -> None:
    before = submit(protocol, event_id)
    worker.settle(claim(worker), Outcome("rejected", "no"))
    jump(store, 600_000)  # the refusal is forgotten
    number = submit(protocol, event_id)
    assert worker.settle(claim(worker), COMPLETED) == "completed"

    assert protocol.confirm(event_id, before)[0] == "abandoned"
    assert protocol.abandon(event_id, before)[0] == "abandoned"

    assert jobs_of(store, event_id) == []
    assert protocol.confirm(event_id, number) == ("completed", "")
    assert jobs_of(store, event_id) == ["greet"]


def test_one_sender_that_leaves_does_not_abandon_for_the_others(
    protocol: Protocol, event_id: str, worker: TransactionProtocol
) -> None:
    number = submit(protocol, event_id)
    assert protocol.submit(event_id, "another").round == number

    assert protocol.abandon(event_id, number, is_gone=True)[0] == "left"

    assert worker.settle(claim(worker), COMPLETED) == "completed"
    assert protocol.confirm(event_id, number) == ("completed", "")


def test_a_claim_that_arrives_late_starts_nothing(protocol: Protocol, event_id: str, store: redis.Redis) -> None:
    submit(protocol, event_id)
    claims = Script("txn_claim", KEYS)
    (started,) = claims.run(store, "worker", "worker", 2, "")

    assert claims.run(store, "worker", "worker", 1, "") == [None]

    assert text(store.get(KEYS.run_of("worker"))) == f"{event_id} {text(started[1])} 2"
