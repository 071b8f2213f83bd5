"""Erasing a transactional event, even while it is being decided: its effects are undone first."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import redis

from surehook.admin.dead_letters import DeadLetters
from surehook.admin.erasure import Erasure
from surehook.admin.transactions import ORPHANED, Decisions
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.stats import StatsReader
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of

Clerks = Callable[..., SingleClaims]
UNDO = "back events 30"
FAILED = AttemptRecord("back", 1, datetime.now(UTC), 1, "failed", "x")
LATE, REFUSAL = Outcome("completed", undo_jobs=UNDO), Outcome("rejected", "no", undo_jobs=UNDO)


@pytest.fixture
def erasure(store: redis.Redis) -> Erasure:
    return Erasure(store, KEYS, BodyCipher(), retention_seconds=3600)


@pytest.mark.parametrize("outcome", [LATE, REFUSAL], ids=["an orphan", "a refusal after another handler's success"])
def test_a_handlers_effect_is_undone_before_the_event_is_erased(
    outcome: Outcome, store: redis.Redis, protocol: Protocol, erasure: Erasure, claims_of: Clerks
) -> None:
    transaction = _erased_while_it_runs(store, protocol, erasure, outcome)
    event_id = transaction.event_id
    assert jobs_of(store, event_id) == ["back"]
    assert store.hexists(KEYS.event(event_id), "body")
    assert is_balanced(store)

    claim = _taken(claims_of())
    assert claim.body
    assert claims_of().finish(claim, "done", None)

    _check_that_nothing_is_left(store, event_id)


def test_each_of_several_handlers_undoes_its_own_first(
    store: redis.Redis, protocol: Protocol, erasure: Erasure, claims_of: Clerks
) -> None:
    outcome = Outcome("rejected", "no", undo_jobs="one events 30 two events 30")
    transaction = _erased_while_it_runs(store, protocol, erasure, outcome)
    clerk = claims_of()

    assert clerk.finish(_taken(clerk), "done", None)
    assert StatsReader(store, KEYS).read().drift == 0
    assert clerk.finish(_taken(clerk), "done", None)

    _check_that_nothing_is_left(store, transaction.event_id)
    assert StatsReader(store, KEYS).read().extra_jobs == 0


def test_an_undoing_that_fails_is_tried_again_and_a_person_may_end_it(
    store: redis.Redis, protocol: Protocol, erasure: Erasure, claims_of: Clerks, dead_letters: DeadLetters
) -> None:
    transaction = _erased_while_it_runs(store, protocol, erasure, REFUSAL)
    clerk = claims_of()
    assert clerk.give_back(_taken(clerk), delay_seconds=0)

    assert erasure.erase(transaction.event_id).outcome == "running"  # a second request waits as well
    assert clerk.bury(_taken(clerk), FAILED, "trace")
    assert erasure.erase(transaction.event_id).outcome == "running"
    (letter,) = dead_letters.of(transaction.event_id)
    assert dead_letters.discard(letter)

    _check_that_nothing_is_left(store, transaction.event_id)


@pytest.mark.parametrize("undo", ["", UNDO], ids=["not undone", "undone"])
def test_an_unresolved_orphan_stays_listed_by_its_id_after_erasure(
    undo: str, store: redis.Redis, protocol: Protocol, erasure: Erasure, claims_of: Clerks
) -> None:
    transaction = _erased_while_it_runs(store, protocol, erasure, Outcome("completed", undo_jobs=undo))
    if undo:
        assert claims_of().finish(_taken(claims_of()), "done", None)
    event_id = transaction.event_id
    decisions = Decisions(store, KEYS, retention_seconds=60, handler_timeout=30)

    (orphan,) = decisions.listed(ORPHANED)
    assert (orphan.event_id, orphan.event_type, orphan.user_id) == (event_id, "", "")
    assert ledger(store) == {"open": 0, "accepted": 1, "erased": 1, "orphaned": 1}
    assert store.ttl(KEYS.event(event_id)) == -1

    assert decisions.resolve(event_id)
    assert list(decisions.listed(ORPHANED)) == []
    assert 0 < store.ttl(KEYS.event(event_id)) <= 60


def test_the_answer_stands_after_erasure_without_its_message(
    store: redis.Redis, protocol: Protocol, erasure: Erasure
) -> None:
    worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Outcome("rejected", "no, not mara"))
    assert erasure.erase(transaction.event_id).outcome == "erased"
    store.delete(KEYS.transaction(transaction.event_id))  # forgotten

    again = protocol.submit(transaction.event_id, "endpoint")

    assert (again.state, again.reason) == ("rejected", "")
    assert "mara" not in " ".join(texts(store.hvals(KEYS.event(transaction.event_id))))


def _check_that_nothing_is_left(store: redis.Redis, event_id: str) -> None:
    assert set(texts(store.hkeys(KEYS.event(event_id)))) == {"closed_at", "outcome", "decision"}
    assert not store.exists(KEYS.attempts(event_id), f"rq:job:{event_id}_back", Keys().rq_queue("events"))
    assert ledger(store)["erased"] == 1
    assert is_balanced(store)


def _erased_while_it_runs(store: redis.Redis, protocol: Protocol, erasure: Erasure, outcome: Outcome) -> Transaction:
    worker, transaction = _claimed(store, protocol)
    assert erasure.erase(transaction.event_id).outcome == "running"
    if outcome.outcome == "completed":
        protocol.abandon(transaction.event_id, transaction.round)
    stands = worker.settle(transaction, outcome)
    assert stands == ("abandoned" if outcome.outcome == "completed" else outcome.outcome)
    return transaction


def _claimed(store: redis.Redis, protocol: Protocol) -> tuple[TransactionProtocol, Transaction]:
    protocol.beat("worker")
    protocol.submit(str(uuid4()), "endpoint")
    worker = TransactionProtocol(store, KEYS, "one", "worker")
    transaction = worker.claim()
    assert transaction is not None
    return worker, transaction


def _taken(clerk: SingleClaims) -> Claim:
    claim = clerk.claim()
    assert claim is not None
    return claim
