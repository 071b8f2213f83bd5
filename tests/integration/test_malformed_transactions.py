"""Transactions that another version wrote, or a hand changed: they end, are listed once, and hinder no other."""

import time
from typing import Any
from uuid import uuid4

import pytest
import redis

from surehook.workers.handlers.registry import Registry, declared, on
from surehook.workers.transactional.protocol import TransactionProtocol
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of, jump


def _without(*names: str) -> Any:
    return lambda store, key: store.hdel(key, *names)


def _with(**fields: str) -> Any:
    return lambda store, key: store.hset(key, mapping=fields)


def _as_text(store: redis.Redis, key: str) -> None:
    store.set(key, "?")


CHANGES = [
    pytest.param(_without("claim"), True, id="no claim"),
    pytest.param(_without("claim", "worker", "process"), True, id="no worker"),
    pytest.param(_without("running"), True, id="not marked as running"),
    pytest.param(_without("state"), True, id="no state"),
    pytest.param(_without("deadline"), True, id="no deadline"),
    pytest.param(_without("round", "waiters", "requests"), True, id="no round"),
    pytest.param(_without("refusal_ttl", "confirm_window", "retention"), True, id="no durations"),
    pytest.param(_with(deadline="soon", retention="?", refusal_ttl=""), True, id="words for numbers"),
    pytest.param(_as_text, False, id="of another type"),
]


@pytest.mark.parametrize(("change", "is_undone"), CHANGES)
def test_a_malformed_transaction_is_ended_and_listed_once_beside_others(
    change: Any, is_undone: bool, store: redis.Redis, protocol: Protocol
) -> None:
    on("user.create", name="check", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    registry = Registry(declared)
    protocol.beat("worker")
    event_ids = [str(uuid4()) for _ in range(3)]
    for number, event_id in enumerate(event_ids):
        protocol.submit(event_id, "endpoint")
        assert TransactionProtocol(store, KEYS, f"worker.{number}", "worker").claim() is not None
    jump(store, 75_000)
    protocol.beat("other")
    change(store, KEYS.transaction(event_ids[1]))

    protocol.recover()
    other = TransactionProtocol(store, KEYS, "other", "other")
    for _ in range(2):
        time.sleep(0.002)  # a run that was seen to be dead is due again in the next millisecond
        other.recover(registry, 30)

    assert sorted(store.zrange(KEYS.orphans, 0, -1)) == sorted(each.encode() for each in event_ids)
    assert ledger(store)["orphaned"] == 3
    assert store.zcard(KEYS.transactions) == 0
    assert jobs_of(store, event_ids[0]) == jobs_of(store, event_ids[2]) == ["check-abandoned"]
    assert jobs_of(store, event_ids[1]) == (["check-abandoned"] if is_undone else [])
    assert is_balanced(store)
    assert ledger(store)["open"] == (3 if is_undone else 2)


def test_a_dead_run_whose_event_has_another_type_is_set_aside(store: redis.Redis, protocol: Protocol) -> None:
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    other = TransactionProtocol(store, KEYS, "other", "other")
    assert other.claim() is not None
    jump(store, 75_000)
    store.delete(KEYS.attempts(event_id))
    store.set(KEYS.attempts(event_id), "?")

    assert other.recover(Registry([]), 30) == 1
    assert other.recover(Registry([]), 30) == 0

    assert store.zrange(KEYS.orphans, 0, -1) == [event_id.encode()]
    assert store.zcard(KEYS.transactions) == 0
