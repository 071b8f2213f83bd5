"""Events that are submitted or confirmed together, in one call of their script: each has its own outcome."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import redis

from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.shared.errors import StoreUnavailable
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome
from tests.integration.conftest import KEYS
from tests.integration.test_batcher import submit, told, with_line
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, Reply


@pytest.fixture
def ids(protocol: Protocol) -> list[str]:
    protocol.beat("worker")
    return [str(uuid4()) for _ in range(3)]


def test_each_event_is_accepted_queued_and_numbered_in_its_order(
    store: redis.Redis, protocol: Protocol, ids: list[str]
) -> None:
    replies = protocol.submit_many(ids, "endpoint")

    assert [(reply.state, reply.left_ms) for reply in _whole(replies)] == [("waiting", 60_000)] * 3
    assert texts(store.lrange(KEYS.rq_queue(TRANSACTIONAL_QUEUE), 0, -1)) == ids
    assert [store.zscore(KEYS.open, each) for each in ids] == [1, 2, 3]
    assert store.llen(KEYS.wake_up) == 3
    assert (ledger(store)["accepted"], is_balanced(store)) == (3, True)


def test_the_same_event_twice_is_one_transaction_for_which_both_wait(protocol: Protocol, ids: list[str]) -> None:
    first, second, _ = _whole(protocol.submit_many([ids[0], ids[0], ids[1]], "endpoint"))

    assert (first.state, second.state, first.round) == ("waiting", "waiting", second.round)
    assert protocol.abandon(ids[0], first.round, is_gone=True) == ("left", "")


def test_an_event_whose_key_has_another_type_fails_alone(
    store: redis.Redis, protocol: Protocol, ids: list[str]
) -> None:
    store.set(KEYS.event(ids[1]), "?")

    first, broken, third = protocol.submit_many(ids, "endpoint")

    assert broken == "refused WRONGTYPE"
    assert [reply.state for reply in _whole([first, third])] == ["waiting", "waiting"]
    assert texts(store.lrange(KEYS.rq_queue(TRANSACTIONAL_QUEUE), 0, -1)) == [ids[0], ids[2]]


def test_the_limit_of_waiting_events_counts_those_of_the_same_call(protocol: Protocol, ids: list[str]) -> None:
    replies = protocol.submit_many(ids, "endpoint", max_backlog=2)

    assert [reply.state for reply in _whole(replies)] == ["waiting", "waiting", "backlog"]


def test_a_round_whose_keys_have_another_type_fails_alone_when_it_is_confirmed(
    store: redis.Redis, protocol: Protocol, ids: list[str]
) -> None:
    rounds = [reply.round for reply in _whole(protocol.submit_many(ids, "endpoint"))]
    worker = TransactionProtocol(store, KEYS, "worker", "worker")
    for _ in ids:
        transaction = worker.claim()
        assert transaction is not None
        worker.settle(transaction, Outcome("completed"))
    store.set(KEYS.transaction(ids[1]), "?")

    replies = protocol.confirm_many(list(zip(ids, rounds, strict=True)))

    assert replies == [[b"completed", b""], b"refused WRONGTYPE", [b"completed", b""]]


def test_a_batch_submits_its_events_in_one_call_and_each_caller_gets_its_own_reply(
    settings: Settings, store: redis.Redis, ids: list[str]
) -> None:
    store.set(KEYS.event(ids[1]), "?")

    async def play(line: ScriptBatcher) -> None:
        await submit(line, str(uuid4()))  # the store knows the script from now on
        store.config_resetstat()
        first, broken, third = await told(*(submit(line, each) for each in ids))
        assert (first[0], broken, third[0]) == (b"waiting", StoreUnavailable, b"waiting")
        assert store.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
        store.script_flush()
        assert [reply[0] for reply in await told(*(submit(line, each) for each in ids[::2]))] == [b"waiting"] * 2

    with_line(settings, play)


def test_a_caller_that_gave_up_is_left_out_of_the_call(settings: Settings, store: redis.Redis, ids: list[str]) -> None:
    async def play(line: ScriptBatcher) -> None:
        calls = [submit(line, each) for each in ids]
        calls[1].cancel()
        assert [(await calls[0])[0], (await calls[2])[0]] == [b"waiting", b"waiting"]
        await asyncio.sleep(0)

    with_line(settings, play)
    assert not store.exists(KEYS.event(ids[1]))


def _whole(replies: list[Any]) -> list[Reply]:
    assert all(isinstance(reply, Reply) for reply in replies)
    return replies
