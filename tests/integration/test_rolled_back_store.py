"""A promoted replica lacks the last transitions of transactions: no effect stands behind a refusal because of that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import redis

from surehook.shared.stats import StatsReader
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.transaction_exchange import wait
from tests.support.transactions import Protocol, jobs_of, jump

PAST_THE_DEADLINE_MS = 65_000
UNDO = "check-abandoned events 30"
COMPLETED = Outcome("completed", undo_jobs=UNDO, commit_jobs="greet events 30")
DIED = Outcome("failed", is_unknown=True, undo_jobs=UNDO)


@contextmanager
def rolled_back(store: redis.Redis) -> Iterator[None]:
    """After the block, the store is as it was before."""
    before: list[Any] = [(key, store.dump(key), max(0, store.pttl(key))) for key in store.scan_iter()]
    yield
    store.flushall()
    for key, value, left_ms in before:
        store.restore(key, left_ms, value)


@pytest.fixture
def event_id() -> str:
    return str(uuid4())


@pytest.fixture
def number(protocol: Protocol, event_id: str) -> str:
    protocol.beat("one")
    return protocol.submit(event_id, "endpoint").round


def a_worker(store: redis.Redis, name: str) -> TransactionProtocol:
    return TransactionProtocol(store, KEYS, name, name)


def claim(worker: TransactionProtocol) -> Transaction:
    transaction = worker.claim()
    assert transaction is not None
    return transaction


def check_that_it_is_undone_once(store: redis.Redis, event_id: str, claims_of: Callable[..., SingleClaims]) -> None:
    assert jobs_of(store, event_id) == ["check-abandoned"]
    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]
    assert ledger(store)["orphaned"] == 1
    undo = claims_of().claim()
    assert undo is not None
    assert claims_of().finish(undo, "done", None)
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0


def test_a_lost_outcome_is_reported_again_in_time(
    protocol: Protocol, event_id: str, number: str, store: redis.Redis
) -> None:
    worker = a_worker(store, "one")
    transaction = claim(worker)
    with rolled_back(store):
        assert worker.settle(transaction, COMPLETED) == "completed"

    assert worker.claim() is None

    assert protocol.confirm(event_id, number) == ("completed", "")
    assert jobs_of(store, event_id) == ["greet"]


@pytest.mark.parametrize("is_waiting", [False, True], ids=["claim", "wait"])
def test_a_lost_outcome_is_undone_past_the_deadline(
    is_waiting: bool, event_id: str, number: str, store: redis.Redis, claims_of: Callable[..., SingleClaims]
) -> None:
    worker = a_worker(store, "one")
    transaction = claim(worker)
    with rolled_back(store):
        assert worker.settle(transaction, COMPLETED) == "completed"
    jump(store, PAST_THE_DEADLINE_MS)

    for _ in range(2):
        assert (wait(store, worker, 0.01) if is_waiting else worker.claim()) is None

    check_that_it_is_undone_once(store, event_id, claims_of)


@pytest.mark.parametrize("end", [COMPLETED, DIED], ids=["completed", "died"])
def test_the_effect_of_a_lost_claim_is_undone_when_another_worker_refuses(
    end: Outcome, event_id: str, number: str, store: redis.Redis, claims_of: Callable[..., SingleClaims]
) -> None:
    one, other = a_worker(store, "one"), a_worker(store, "other")
    with rolled_back(store):
        transaction = claim(one)
    assert other.settle(claim(other), Outcome("rejected", "no")) == "rejected"

    for _ in range(2):
        assert one.settle(transaction, end) == "stale"

    check_that_it_is_undone_once(store, event_id, claims_of)


def test_the_effect_of_a_lost_claim_is_undone_when_the_deadline_passes(
    protocol: Protocol, event_id: str, number: str, store: redis.Redis, claims_of: Callable[..., SingleClaims]
) -> None:
    one = a_worker(store, "one")
    with rolled_back(store):
        transaction = claim(one)
    assert protocol.abandon(event_id, number)[0] == "abandoned"

    for _ in range(2):
        assert one.settle(transaction, COMPLETED) == "stale"

    check_that_it_is_undone_once(store, event_id, claims_of)


def test_the_effect_of_a_lost_claim_stays_beside_a_success(
    protocol: Protocol, event_id: str, number: str, store: redis.Redis
) -> None:
    one, other = a_worker(store, "one"), a_worker(store, "other")
    with rolled_back(store):
        transaction = claim(one)
    again = claim(other)
    assert one.settle(transaction, COMPLETED) == "stale"
    assert other.settle(again, COMPLETED) == "completed"

    assert protocol.confirm(event_id, number) == ("completed", "")

    assert jobs_of(store, event_id) == ["greet"]
