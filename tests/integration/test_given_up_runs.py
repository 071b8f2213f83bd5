"""Runs that were presumed dead and undone, whose handlers have an effect afterwards."""

from uuid import uuid4

import pytest
import redis

from surehook.shared.stats import StatsReader
from surehook.workers.handlers.registry import Registry, declared, on
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS, Erase
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.transaction_exchange import settle_together
from tests.support.transactions import Protocol, jobs_of, jump

UNDO = "check-abandoned events 30"
COMPLETED = Outcome("completed", undo_jobs=UNDO)
DIED = Outcome("failed", is_unknown=True, undo_jobs=UNDO)
PARTLY = Outcome("rejected", "no", undo_jobs=UNDO)
ENDS = pytest.mark.parametrize("end", [COMPLETED, DIED, PARTLY], ids=["completed", "died", "partly completed"])
NONE = Transaction(str(uuid4()), "r", 0, "user.create", "", "", b""), Outcome("failed")
Given = tuple[str, TransactionProtocol, Transaction]


@pytest.fixture
def given_up(store: redis.Redis, protocol: Protocol) -> Given:
    """An event whose worker sleeps in a handler: its run was given up and undone, and the refusal is forgotten."""
    on("user.create", name="check", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    event_id = str(uuid4())
    frozen, transaction = _ask(store, protocol, event_id, "frozen")
    jump(store, 75_000)
    protocol.beat("other")
    assert TransactionProtocol(store, KEYS, "other", "other").recover(Registry(declared), 30) == 1
    _undo(store)
    jump(store, 600_000)
    return event_id, frozen, transaction


@ENDS
@pytest.mark.parametrize("is_together", [False, True], ids=["in turn", "in one call"])
def test_an_effect_after_a_second_no_is_undone(
    is_together: bool, end: Outcome, given_up: Given, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = given_up
    other, again = _ask(store, protocol, event_id, "other")
    if is_together:
        refused, late = (other, again, Outcome("rejected", "no")), (frozen, transaction, end)
        frozen.settle(*NONE)  # the store knows the script
        assert settle_together(store, refused, late) == ["rejected", "stale"]
    else:
        assert other.settle(again, Outcome("rejected", "no")) == "rejected"

    for _ in range(2):  # the reply to the first one may have been lost
        assert frozen.settle(transaction, end) == "stale"

    assert jobs_of(store, event_id) == ["check-abandoned"]
    assert store.zrange(KEYS.open, 0, -1) == [event_id.encode()]
    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]
    assert ledger(store)["orphaned"] == 1
    assert protocol.submit(event_id, "endpoint").state == "rejected"  # final while it is undone
    _undo(store)
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0


@ENDS
@pytest.mark.parametrize("late", ["before the claim", "while it runs", "after the end"])
def test_an_effect_during_a_second_round_is_undone_when_that_is_refused(
    late: str, end: Outcome, given_up: Given, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = given_up
    protocol.beat("worker")
    number = protocol.submit(event_id, "endpoint").round
    other = TransactionProtocol(store, KEYS, "other", "worker")
    if late == "before the claim":
        frozen.settle(transaction, end)
    again = other.claim()
    assert again is not None
    if late == "while it runs":
        frozen.settle(transaction, end)
    assert jobs_of(store, event_id) == []  # the round goes on
    protocol.abandon(event_id, number)
    if late == "after the end":
        frozen.settle(transaction, end)

    other.settle(again, Outcome("rejected", "no", undo_jobs="other-abandoned events 30"))

    assert jobs_of(store, event_id) == ["check-abandoned", "other-abandoned"]
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0


@pytest.mark.parametrize("is_late", [False, True], ids=["during the round", "after it"])
def test_an_effect_beside_a_success_stays(
    is_late: bool, given_up: Given, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = given_up
    other, again = _ask(store, protocol, event_id, "other")
    if not is_late:
        frozen.settle(transaction, COMPLETED)
    assert other.settle(again, COMPLETED) == "completed"
    assert protocol.confirm(event_id, again.round)[0] == "completed"
    if is_late:
        frozen.settle(transaction, COMPLETED)

    assert jobs_of(store, event_id) == []
    assert not store.hexists(KEYS.event(event_id), "given_up")
    assert is_balanced(store)


@ENDS
@pytest.mark.parametrize("is_round_over", [False, True], ids=["during a later round", "after it"])
def test_an_outcome_that_arrives_again_in_a_later_round_changes_nothing(
    is_round_over: bool, end: Outcome, store: redis.Redis, protocol: Protocol
) -> None:
    event_id = str(uuid4())
    first, transaction = _ask(store, protocol, event_id, "first")
    assert first.settle(transaction, Outcome("rejected", "no")) == "rejected"
    jump(store, 600_000)
    second, again = _ask(store, protocol, event_id, "second")
    if is_round_over:
        assert second.settle(again, Outcome("rejected", "no")) == "rejected"

    assert first.settle(transaction, end) == "stale"

    if not is_round_over:
        assert second.settle(again, Outcome("rejected", "no")) == "rejected"
    assert jobs_of(store, event_id) == []
    assert store.zcard(KEYS.orphans) == 0
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_each_of_two_runs_that_were_given_up_is_undone_when_it_ends(
    given_up: Given, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = given_up
    second, again = _ask(store, protocol, event_id, "second")
    jump(store, 75_000)
    protocol.beat("other")
    assert TransactionProtocol(store, KEYS, "other", "other").recover(Registry(declared), 30) == 1
    _undo(store)

    for worker, run in ((frozen, transaction), (second, again)):
        assert worker.settle(run, DIED) == "stale"
        assert jobs_of(store, event_id) == ["check-abandoned"]
        _undo(store)

    assert not store.hexists(KEYS.event(event_id), "given_up")
    assert ledger(store)["orphaned"] == 2


def test_an_undo_of_another_run_that_still_waits_is_kept(
    given_up: Given, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = given_up
    other, again = _ask(store, protocol, event_id, "other")
    other.settle(again, Outcome("rejected", "no", undo_jobs="first-abandoned events 30 second-abandoned events 30"))
    claims = SingleClaims(store, KEYS, "events", "clerk", retention_seconds=3600, handler_timeout=30)
    done = claims.claim()
    assert done is not None
    assert claims.finish(done, "done", None)

    frozen.settle(transaction, DIED)

    assert jobs_of(store, event_id) == ["check-abandoned", "second-abandoned"]
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0


@pytest.mark.parametrize(("end", "listed"), [(COMPLETED, True), (DIED, True), (PARTLY, False)])
def test_an_effect_of_an_erased_event_is_listed_by_its_id(
    end: Outcome, listed: bool, given_up: Given, store: redis.Redis, protocol: Protocol, erase: Erase
) -> None:
    event_id, frozen, transaction = given_up
    erase(event_id)
    assert store.zcard(KEYS.orphans) == 0

    frozen.settle(transaction, end)

    assert store.zrange(KEYS.orphans, 0, -1) == ([event_id.encode()] if listed else [])
    assert (store.ttl(KEYS.event(event_id)) > 0) is not listed
    assert jobs_of(store, event_id) == []
    if listed:
        assert protocol.resolve(event_id)
        assert store.ttl(KEYS.event(event_id)) > 0


def _ask(store: redis.Redis, protocol: Protocol, event_id: str, worker: str) -> tuple[TransactionProtocol, Transaction]:
    protocol.beat("worker")
    assert protocol.submit(event_id, "endpoint").state == "waiting"
    room = TransactionProtocol(store, KEYS, worker, "worker")
    transaction = room.claim()
    assert transaction is not None
    return room, transaction


def _undo(store: redis.Redis) -> None:
    claims = SingleClaims(store, KEYS, "events", "clerk", retention_seconds=3600, handler_timeout=30)
    while claim := claims.claim():
        assert claims.finish(claim, "done", None)
