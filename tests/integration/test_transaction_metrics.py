"""The metrics of transactions: their answers, and the orphans."""

from typing import Any

import redis

from harness.events import USER_ID, an_event
from surehook import Reject
from surehook.events import UserCreate
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges
from surehook.workers.handlers.registry import on
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome
from tests.support.endpoint import OpenEndpoint
from tests.support.transactional_client import short_transactions
from tests.support.transactions import KEYS, Protocol


def answers_of(endpoint: OpenEndpoint) -> dict[str, float]:
    return {
        outcome: endpoint.metric("surehook_transactions_total", type="user.create", outcome=outcome)
        for outcome in ("completed", "rejected", "failed", "abandoned", "no_worker", "paused", "unavailable")
    }


@short_transactions
def test_each_answer_counts_as_what_it_was(
    decide: Any, transactional_endpoint: OpenEndpoint, protocol: Protocol
) -> None:
    errors = {"no@example.com": Reject("no"), "broken@example.com": OSError("broken")}

    @on("user.create", name="check", transactional=True)
    def check(event: UserCreate) -> None:
        assert event.user is not None
        if error := errors.get(str(event.user.email)):
            raise error

    for email in ("yes@example.com", *errors):
        decide(an_event("user.create", user={"id": USER_ID, "email": email}))
    transactional_endpoint.deliver(an_event("user.create"))  # no worker claims it
    protocol.leave("worker")
    transactional_endpoint.deliver(an_event("user.create"))

    counted = {"completed": 1, "rejected": 1, "failed": 1, "abandoned": 1, "no_worker": 1}
    assert answers_of(transactional_endpoint) == {"paused": 0, "unavailable": 0, **counted}
    assert transactional_endpoint.metric("surehook_transaction_seconds_count") == 5


def test_the_orphan_gauge_falls_after_resolution_and_the_counter_does_not(
    settings: Settings, store: redis.Redis, protocol: Protocol
) -> None:
    def shown() -> tuple[float, float]:
        samples = [sample for metric in StoreGauges(settings).collect() for sample in metric.samples]
        entries = {each.labels["entry"]: each.value for each in samples if each.name == "surehook_ledger_events"}
        return next(each.value for each in samples if each.name == "surehook_orphans"), entries["orphaned"]

    assert shown() == (0, 0)
    event_id = an_event("user.create")["id"]
    protocol.beat("worker")
    number = protocol.submit(event_id, "endpoint").round
    room = TransactionProtocol(store, KEYS, "worker", "worker")
    transaction = room.claim()
    assert transaction is not None
    protocol.abandon(event_id, number)
    room.settle(transaction, Outcome("completed"))

    assert shown() == (1, 1)
    assert protocol.resolve(event_id)
    assert shown() == (0, 1)
