"""Undoing the effects after a refusal: on every request, with a full retry budget, and after the effect itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import redis

from surehook.shared.stats import StatsReader
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Registry, declared, on
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of, jump

UNDO = "check-abandoned events 30"
COMPLETED = Outcome("completed", undo_jobs=UNDO)
CUT_OFF = Outcome("failed", is_unknown=True, undo_jobs=UNDO)
PARTLY = Outcome("rejected", "no", undo_jobs=UNDO)
FAILED = AttemptRecord("back", 1, datetime.now(UTC), 1, "failed", "x")
Clerks = Callable[..., SingleClaims]
MakeDue = Callable[..., int]


def test_the_undo_of_a_second_refusal_has_its_full_budget(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Outcome("rejected", undo_jobs=UNDO))
    clerk = claims_of()
    _spend(clerk, make_due, retries=3)
    jump(store, 61_000)  # the first refusal has expired

    again = _claimed(store, protocol, event_id)[2]
    worker.settle(again, Outcome("rejected", undo_jobs=UNDO))

    claim = _taken(clerk)
    assert (claim.runs, claim.spent, claim.interruptions) == (1, 0, 0)


def test_a_second_run_as_committed_has_its_full_budget(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Outcome("rejected"))
    assert protocol.replay_committed(event_id)
    clerk = claims_of()
    _spend(clerk, make_due, retries=2)

    assert protocol.replay_committed(event_id)

    claim = _taken(clerk)
    assert (claim.runs, claim.spent, claim.interruptions) == (1, 0, 0)
    assert store.zcard("rq:finished:events") == 0  # it does not count as a finished job
    assert is_balanced(store)


def _undo(clerk: SingleClaims, make_due: MakeDue) -> None:
    assert clerk.finish(_taken(clerk), "done", None)


def _leave_waiting(clerk: SingleClaims, make_due: MakeDue) -> None:
    pass


def _be_at_it(clerk: SingleClaims, make_due: MakeDue) -> None:
    _taken(clerk)


def _fail(clerk: SingleClaims, make_due: MakeDue) -> None:
    assert clerk.retry(_taken(clerk), FAILED, "trace", delay_seconds=60, spends_retry=True)


def _give_up(clerk: SingleClaims, make_due: MakeDue) -> None:
    assert clerk.bury(_taken(clerk), FAILED, "trace")


@pytest.mark.parametrize("undoing", [_undo, _leave_waiting, _be_at_it, _fail, _give_up])
@pytest.mark.parametrize("outcome", [COMPLETED, CUT_OFF, PARTLY], ids=["completed", "cut off", "one of two completed"])
def test_a_run_presumed_dead_that_still_ends_is_undone_again(
    outcome: Outcome,
    undoing: Callable[[SingleClaims, MakeDue], None],
    store: redis.Redis,
    protocol: Protocol,
    claims_of: Clerks,
    make_due: MakeDue,
) -> None:
    event_id, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol)
    clerk = claims_of("clerk")
    undoing(clerk, make_due)

    for _ in range(2):  # the reply to the first one may have been lost
        assert frozen.settle(transaction, outcome) == "stale"

    assert jobs_of(store, event_id) == ["check-abandoned"]
    assert is_balanced(store)
    assert StatsReader(store, KEYS).read().drift == 0
    assert _taken(clerk).runs == 1
    assert clerk.claim() is None
    assert ledger(store)["orphaned"] == 1
    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]


def test_an_undo_requested_again_while_it_runs_is_repeated(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks
) -> None:
    _, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol)
    clerk = claims_of("clerk")
    early = _taken(clerk)

    frozen.settle(transaction, COMPLETED)

    late = _taken(clerk)
    assert not clerk.finish(early, "done", None)
    assert clerk.finish(late, "done", None)
    assert is_balanced(store)
    assert not store.exists(KEYS.leases("events"), KEYS.process_claims("clerk"), "rq:wip:events")


def test_a_long_frozen_success_is_undone_after_its_round_is_forgotten(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol)
    _undo(claims_of("clerk"), make_due)
    jump(store, 600_000)
    assert not store.exists(KEYS.transaction(event_id))

    assert frozen.settle(transaction, COMPLETED) == "stale"

    assert jobs_of(store, event_id) == ["check-abandoned"]


def test_a_success_that_ends_after_a_person_has_resolved_it_is_listed_again(
    store: redis.Redis, protocol: Protocol
) -> None:
    event_id, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol, undo=False)
    assert protocol.resolve(event_id)

    assert frozen.settle(transaction, Outcome("completed")) == "stale"

    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]
    assert store.ttl(KEYS.event(event_id)) == -1
    assert ledger(store)["orphaned"] == 1


def test_a_refusal_that_arrives_after_the_end_expires_on_time(store: redis.Redis, protocol: Protocol) -> None:
    event_id, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol, undo=False)
    assert protocol.resolve(event_id)

    assert frozen.settle(transaction, Outcome("rejected", "no")) == "stale"

    assert store.zcard(KEYS.orphans) == 0
    assert store.ttl(KEYS.event(event_id)) > 0
    assert store.ttl(KEYS.attempts(event_id)) > 0


@pytest.mark.parametrize("committed", [False, True], ids=["answered yes", "run as a fact"])
def test_a_run_given_up_is_ignored_once_its_effect_agrees_with_fusionauth(
    committed: bool, store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, frozen, transaction = _claimed(store, protocol)
    _bury(store, protocol)
    _undo(claims_of("clerk"), make_due)
    jump(store, 600_000)
    if committed:
        assert protocol.replay_committed(event_id)
        assert claims_of("clerk").finish(_taken(claims_of("clerk")), "done", None)
    else:
        _, other, again = _claimed(store, protocol, event_id, "other")
        assert other.settle(again, Outcome("completed")) == "completed"
        assert protocol.confirm(event_id, again.round)[0] == "completed"

    assert frozen.settle(transaction, COMPLETED) == "stale"

    assert jobs_of(store, event_id) == []
    assert is_balanced(store)


@pytest.mark.parametrize(
    ("outcome", "stands"), [(COMPLETED, "completed"), (Outcome("rejected", "no", undo_jobs=UNDO), "rejected")]
)
@pytest.mark.parametrize("is_confirmed", [False, True])
def test_a_settlement_whose_reply_was_lost_is_answered_as_it_was(
    is_confirmed: bool, outcome: Outcome, stands: str, store: redis.Redis, protocol: Protocol
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    assert worker.settle(transaction, outcome) == stands
    if is_confirmed:
        assert protocol.confirm(event_id, transaction.round)[0] == stands
    before = jobs_of(store, event_id)

    assert worker.settle(transaction, outcome) == stands

    assert jobs_of(store, event_id) == before
    assert is_balanced(store)


def _bury(store: redis.Redis, protocol: Protocol, *, undo: bool = True) -> None:
    """The process that runs it is frozen, and long presumed dead."""
    jump(store, 75_000)
    protocol.beat("other")
    on_abandoned = (lambda event: None) if undo else None
    on("user.create", name="check", transactional=True, on_abandoned=on_abandoned)(lambda event: None)
    assert TransactionProtocol(store, KEYS, "other", "other").recover(Registry(declared), 30) == 1


def _claimed(
    store: redis.Redis, protocol: Protocol, event_id: str = "", worker: str = "one"
) -> tuple[str, TransactionProtocol, Transaction]:
    protocol.beat("worker")
    event_id = event_id or str(uuid4())
    assert protocol.submit(event_id, "endpoint").state == "waiting"
    room = TransactionProtocol(store, KEYS, worker, "worker")
    transaction = room.claim()
    assert transaction is not None
    return event_id, room, transaction


def _taken(clerk: SingleClaims) -> Claim:
    claim = clerk.claim()
    assert claim is not None
    return claim


def _spend(clerk: SingleClaims, make_due: MakeDue, retries: int) -> None:
    for _ in range(retries):
        assert clerk.retry(_taken(clerk), FAILED, "trace", delay_seconds=0, spends_retry=True)
        make_due()
    assert clerk.finish(_taken(clerk), "done", None)
