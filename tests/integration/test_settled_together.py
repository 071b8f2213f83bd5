"""Transactions that are claimed or settled together, in one call of their script: each for itself."""

from uuid import uuid4

import pytest
import redis

from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import texts
from surehook.shared.stats import StatsReader
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced, ledger
from tests.support.transaction_exchange import claim_together, settle_together
from tests.support.transactions import Protocol, jobs_of, jump

UNDO = "back events 30"
OUTCOMES = [
    Outcome("completed", undo_jobs=UNDO),
    Outcome("rejected", "not this one"),
    Outcome("failed", is_unknown=True, undo_jobs=UNDO),
    Outcome("rejected", "nor that one"),
]
Run = tuple[TransactionProtocol, Transaction]


@pytest.fixture
def ids() -> list[str]:
    return [str(uuid4()) for _ in OUTCOMES]


@pytest.fixture
def workers(store: redis.Redis, protocol: Protocol) -> list[TransactionProtocol]:
    protocol.beat("worker")
    workers = [TransactionProtocol(store, KEYS, f"worker.{number}", "worker") for number in range(len(OUTCOMES))]
    for worker in workers:
        assert worker.claim() is None  # the store knows the script from now on
    settle_together(store, (workers[0], Transaction(str(uuid4()), "r", 0, "", "", "", b""), OUTCOMES[0]))
    return workers


@pytest.fixture
def runs(store: redis.Redis, protocol: Protocol, workers: list[TransactionProtocol], ids: list[str]) -> list[Run]:
    """The runs of events for which two processes wait in turn."""
    for number, event_id in enumerate(ids):
        protocol.submit(event_id, f"endpoint-{number % 2}")
    return [(worker, claimed(each)) for worker, each in zip(workers, claim_together(store, *workers), strict=True)]


def claimed(result: Transaction | redis.ResponseError | None) -> Transaction:
    assert isinstance(result, Transaction)
    return result


def test_each_worker_claims_an_event_in_their_order(store: redis.Redis, runs: list[Run], ids: list[str]) -> None:
    assert [transaction.event_id for _, transaction in runs] == ids
    assert [store.get(KEYS.run_of(f"worker.{number}")) for number in range(len(ids))] == [
        f"{each.event_id} {each.round} {each.claim}".encode() for _, each in runs
    ]
    assert sorted(texts(store.zrange(f"rq:wip:{TRANSACTIONAL_QUEUE}", 0, -1))) == sorted(
        f"{each}:{each}" for each in ids
    )


def test_workers_without_an_event_claim_nothing(
    store: redis.Redis, protocol: Protocol, workers: list[TransactionProtocol]
) -> None:
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")

    first, *others = claim_together(store, *workers)

    assert claimed(first).event_id == event_id
    assert others == [None] * (len(workers) - 1)


def test_each_run_has_its_own_outcome(store: redis.Redis, protocol: Protocol, runs: list[Run], ids: list[str]) -> None:
    ends = [(*run, outcome) for run, outcome in zip(runs, OUTCOMES, strict=True)]

    for _ in range(2):  # the reply to the first call may have been lost
        assert settle_together(store, *ends) == [outcome.outcome for outcome in OUTCOMES]

    rounds = [transaction.round for _, transaction in runs]
    for at in range(2):
        told = protocol.notifications(f"endpoint-{at}")
        assert told == [(ids[each], rounds[each], OUTCOMES[each].outcome) for each in (at, at + 2)]
    decisions = protocol.confirm_many(list(zip(ids, rounds, strict=True)))
    assert [texts(each) for each in decisions] == [[each.outcome, each.reason] for each in OUTCOMES]
    assert sorted(texts(store.zrange(KEYS.decided("rejected"), 0, -1))) == sorted([ids[1], ids[3]])
    assert store.zrange(KEYS.orphans, 0, -1) == [ids[2].encode()]
    assert jobs_of(store, ids[2]) == ["back"]
    assert (ledger(store)["accepted"], ledger(store)["done"]) == (4, 3)
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0


def test_runs_that_end_too_late_are_abandoned_together(
    store: redis.Redis, protocol: Protocol, runs: list[Run], ids: list[str]
) -> None:
    jump(store, 61_000)

    ends = [(*run, outcome) for run, outcome in zip(runs, OUTCOMES, strict=True)]

    assert settle_together(store, *ends) == ["abandoned"] * 4
    assert sorted(texts(store.zrange(KEYS.orphans, 0, -1))) == sorted([ids[0], ids[2]])
    assert is_balanced(store)


def test_a_run_whose_keys_have_another_type_fails_alone(
    store: redis.Redis, protocol: Protocol, runs: list[Run], ids: list[str]
) -> None:
    store.set(KEYS.transaction(ids[1]), "?")
    ends = [(*run, outcome) for run, outcome in zip(runs, OUTCOMES, strict=True)]

    first, broken, *others = settle_together(store, *ends)

    assert isinstance(broken, redis.ResponseError)
    assert (first, *others) == ("completed", "failed", "rejected")
    assert store.zscore(KEYS.open, ids[3]) is None


def test_an_event_whose_keys_have_another_type_keeps_no_other_from_starting(
    store: redis.Redis, protocol: Protocol, workers: list[TransactionProtocol], ids: list[str]
) -> None:
    for event_id in ids:
        protocol.submit(event_id, "endpoint")
    store.set(KEYS.transaction(ids[1]), "?")

    first, broken, *others = claim_together(store, *workers)

    assert isinstance(broken, redis.ResponseError)
    assert [claimed(each).event_id for each in (first, *others)] == [ids[0], *ids[2:]]
