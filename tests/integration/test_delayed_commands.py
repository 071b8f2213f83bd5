"""Commands on a connection that a worker has closed may still arrive, at any later time."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.embedded import socket_path
from surehook.shared.scripts import Script
from surehook.workers.connection import Connection
from surehook.workers.transactional.batch import RunSlot
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced
from tests.support.run_context import TestContext
from tests.support.soak.network import Mode, Relay
from tests.support.transactions import Protocol, jobs_of, jump

WORKER = "one"
UNDO = "back events 30"


@pytest.fixture
def relay(data_dir: Path) -> Iterator[Relay]:
    relay = Relay(socket_path(data_dir))
    yield relay
    relay.close()


@pytest.fixture
def worker(store: redis.Redis, protocol: Protocol) -> TransactionProtocol:
    protocol.beat("worker")
    return TransactionProtocol(store, KEYS, WORKER, "worker")


def time_out(_: Connection) -> None:
    raise TimeoutError


def test_a_claim_that_comes_late_does_not_end_what_the_worker_runs(
    store: redis.Redis,
    protocol: Protocol,
    worker: TransactionProtocol,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relayed = redis.Redis.from_url(relay.url, socket_timeout=20, protocol=2)
    given_up = TransactionProtocol(relayed, KEYS, WORKER, "worker")
    exchange = TransactionExchange(relayed, KEYS, "worker")
    given_up.claim()
    exchange.send([], [RunSlot(given_up, TestContext())], 0.01)
    exchange.read_claims()
    relay.set_mode(Mode.SILENT)
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "read", time_out)
        with pytest.raises(TimeoutError):
            exchange.send([], [RunSlot(given_up, TestContext())], 0.01)
    transaction = _claimed(protocol, worker)
    jump(store, 61_000)  # its deadline passes while its handler runs
    protocol.beat("worker")
    protocol.submit(str(uuid4()), "endpoint")  # wakes the blocking pop of the delayed command
    before = _calls(store)

    relay.set_mode(Mode.OPEN)
    wait_until(lambda: _calls(store) > before, "the late claim is there")

    assert worker.settle(transaction, Outcome("completed", undo_jobs=UNDO)) == "abandoned"
    assert store.zrange(KEYS.orphans, 0, -1) == [transaction.event_id.encode()]
    assert jobs_of(store, transaction.event_id) == ["back"]
    assert is_balanced(store)


def test_the_same_claim_repeated_changes_nothing(
    store: redis.Redis, protocol: Protocol, worker: TransactionProtocol
) -> None:
    transaction = _claimed(protocol, worker)

    assert Script("txn_claim", KEYS).run(store, "worker", WORKER, transaction.claim, "") == [None]

    assert worker.settle(transaction, Outcome("completed")) == "completed"


def test_giving_back_an_earlier_claim_starts_nothing_beside_what_runs(
    store: redis.Redis, protocol: Protocol, worker: TransactionProtocol
) -> None:
    transaction = _claimed(protocol, worker)
    assert worker.give_back(transaction)
    again = worker.claim()
    assert again is not None

    assert not worker.give_back(transaction)

    assert TransactionProtocol(store, KEYS, "two", "worker").claim() is None
    assert worker.settle(again, Outcome("completed")) == "completed"


def test_a_settlement_of_an_earlier_claim_says_nothing_of_what_runs(
    protocol: Protocol, worker: TransactionProtocol
) -> None:
    transaction = _claimed(protocol, worker)
    assert worker.give_back(transaction)
    again = worker.claim()
    assert again is not None

    assert worker.settle(transaction, Outcome("rejected", "no")) == "stale"

    assert worker.settle(again, Outcome("completed")) == "completed"


def test_a_claim_whose_reply_was_lost_is_found_by_the_next_one(protocol: Protocol, worker: TransactionProtocol) -> None:
    lost = _claimed(protocol, worker)

    found = worker.claim()

    assert found is not None
    assert (found.event_id, found.round) == (lost.event_id, lost.round)
    assert worker.settle(found, Outcome("completed")) == "completed"


def _claimed(protocol: Protocol, worker: TransactionProtocol) -> Transaction:
    protocol.submit(str(uuid4()), "endpoint")
    transaction = worker.claim()
    assert transaction is not None
    return transaction


def _calls(store: redis.Redis) -> int:
    """The number of script calls that have reached the store."""
    return int(store.info("commandstats")["cmdstat_evalsha"]["calls"])
