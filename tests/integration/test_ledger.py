"""`surehook ledger` is exact, even while events move."""

import json
import threading
from typing import Any

import pytest
import redis

from surehook.admin.ledger import Ledger
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt
from tests.support.command import Surehook, command_on

CLAIMS_A_LOOK = 30


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


def test_a_ledger_that_balances_says_where_everything_is(accept: Accept, claims_of: Any, surehook: Surehook) -> None:
    claims = claims_of()
    for _ in range(6):
        accept()
    claims.finish(claims.claim(), "done", None)
    claims.bury(claims.claim(), an_attempt(), "")
    claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True)
    claims.fan_out(claims.claim(), [("a", "events", 1.0), ("b", "other", 1.0)])
    claims.claim()

    status, shown = surehook("ledger")

    assert status == 0
    assert " ".join(shown.split()) == (
        "accepted 6 done 1 discarded 0 erased 0 open 5 "
        "running 1 waiting 2 scheduled 1 deferred 0 dead 1 "
        "spooled 0 on this machine's disk, not accepted yet The ledger balances."
    )
    status, shown = surehook("ledger", "--json")
    assert status == 0
    assert json.loads(shown)["open_events"] == {"running": 1, "waiting": 2, "scheduled": 1, "deferred": 0, "dead": 1}


def test_an_event_without_a_job_is_named(accept: Accept, surehook: Surehook, store: redis.Redis) -> None:
    lost, _ = accept(), accept()
    store.lrem("rq:queue:events", 0, lost)

    status, shown = surehook("ledger")

    assert status == 1
    assert "1 jobs of open events are missing" in shown
    assert lost in shown
    status, shown = surehook("ledger", "--json")
    assert (status, json.loads(shown)["balances"], json.loads(shown)["without_job"]) == (1, False, [lost])


def test_a_handlers_job_that_is_missing_is_named(
    accept: Accept, claims_of: Any, surehook: Surehook, store: redis.Redis
) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [("a", "events", 1.0), ("b", "other", 1.0)])
    store.delete("rq:queue:other")

    status, shown = surehook("ledger", "--json")

    assert (status, json.loads(shown)["without_job"]) == (1, [f"{event_id}_b"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            lambda store: store.hincrby(KEYS.ledger, "done", 1),
            "by the counts 1 events should be open, but 2 are",
            id="done",
        ),
        pytest.param(
            lambda store: store.hincrby(KEYS.ledger, "accepted", 3),
            "by the counts 5 events should be open, but 2 are",
            id="accepted",
        ),
        pytest.param(
            lambda store: store.hincrby(KEYS.ledger, "erased", 2),
            "by the counts 0 events should be open, but 2 are",
            id="erased",
        ),
        pytest.param(
            lambda store: store.zrem(KEYS.open, store.zrange(KEYS.open, 0, 0)[0]),
            "by the counts 2 events should be open, but 1 are",
            id="open",
        ),
    ],
)
def test_counts_that_do_not_add_up_are_an_imbalance(
    spoil: Any, words: str, accept: Accept, surehook: Surehook, store: redis.Redis
) -> None:
    accept()
    accept()
    spoil(store)

    status, shown = surehook("ledger")

    assert status == 1
    assert words in shown


def test_a_record_that_was_deleted_by_hand_is_named(accept: Accept, surehook: Surehook, store: redis.Redis) -> None:
    event_id = accept()
    store.delete(KEYS.event(event_id), "rq:queue:events")

    status, shown = surehook("ledger", "--json")

    assert (status, json.loads(shown)["without_job"]) == (1, [event_id])


def test_an_event_that_moves_between_two_looks_is_no_imbalance(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    store.lrem("rq:queue:events", 0, event_id)

    def settle_while_reading(_: float) -> None:
        store.rpush("rq:queue:events", event_id)
        claims_of().finish(claims_of().claim(), "done", None)

    assert Ledger(store, KEYS).read(settle_while_reading).is_balanced


def test_a_busy_store_balances_at_every_look(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    for _ in range(100):
        accept()
    may_claim = threading.Semaphore(0)

    def work() -> None:
        claims = claims_of()
        while may_claim.acquire() and (claim := claims.claim()) is not None:
            if claim.handler_name:
                claims.finish(claim, "done", None)
            else:
                claims.fan_out(claim, [("a", "events", 1.0), ("b", "events", 1.0)])

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    looks = 0
    while worker.is_alive():
        may_claim.release(CLAIMS_A_LOOK)
        statement = Ledger(store, KEYS).read(lambda _: None)
        assert statement.is_balanced, statement
        assert statement.stats.imbalance == 0
        looks += 1

    assert looks > 1
    assert Ledger(store, KEYS).counts().done == 100
