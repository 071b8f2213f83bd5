"""What undoes the effects of a no: each time it is asked for, with its full budget, and after the effect itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import redis

from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced
from tests.support.transactions import Protocol, jump
from workers.claims import Claim, Claims
from workers.settlements import AttemptRecord
from workers.transactions import Transaction, Transactions, Verdict

UNDO = "back events 30"
FAILED = AttemptRecord("back", 1, datetime.now(UTC), 1, "failed", "x")
Clerks = Callable[..., Claims]
MakeDue = Callable[..., int]


def test_the_undoing_of_a_second_no_has_its_full_budget(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Verdict("rejected", undo=UNDO))
    clerk = claims_of()
    _spend(clerk, make_due, retries=3)
    jump(store, 61_000)  # the first no is forgotten

    again = _claimed(store, protocol, event_id)[2]
    worker.settle(again, Verdict("rejected", undo=UNDO))

    claim = _taken(clerk)
    assert (claim.runs, claim.spent, claim.interruptions) == (1, 0, 0)


def test_a_second_time_as_a_fact_has_its_full_budget(
    store: redis.Redis, protocol: Protocol, claims_of: Clerks, make_due: MakeDue
) -> None:
    event_id, worker, transaction = _claimed(store, protocol)
    worker.settle(transaction, Verdict("rejected"))
    assert protocol.as_fact(event_id)
    clerk = claims_of()
    _spend(clerk, make_due, retries=2)

    assert protocol.as_fact(event_id)

    claim = _taken(clerk)
    assert (claim.runs, claim.spent, claim.interruptions) == (1, 0, 0)
    assert store.zcard("rq:finished:events") == 0  # it is no job that has finished
    assert is_balanced(store)


def _claimed(
    store: redis.Redis, protocol: Protocol, event_id: str = "", worker: str = "one"
) -> tuple[str, Transactions, Transaction]:
    protocol.beat("room")
    event_id = event_id or str(uuid4())
    assert protocol.submit(event_id, "door").state == "waiting"
    room = Transactions(store, KEYS, worker, "room")
    transaction = room.claim()
    assert transaction is not None
    return event_id, room, transaction


def _taken(clerk: Claims) -> Claim:
    claim = clerk.claim()
    assert claim is not None
    return claim


def _spend(clerk: Claims, make_due: MakeDue, retries: int) -> None:
    for _ in range(retries):
        assert clerk.retry(_taken(clerk), FAILED, "trace", delay_seconds=0, spends_retry=True)
        make_due()
    assert clerk.finish(_taken(clerk), "done", None)
