"""While handlers are fast, one thread claims several events in a packet, runs them in turn, settles them together."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Reject
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.transactional import executor
from tests.integration.conftest import Counts
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced
from tests.support.transaction_pool import FIRST, SLOTS, WORKER, TransactionPool, nothing, stay_fast
from tests.support.transactional_client import LONG
from tests.support.transactions import KEYS, Protocol, jump

BATCH = (SLOTS, SLOTS)
Open = Callable[..., TransactionPool]


@pytest.fixture
def open_pool(store: redis.Redis, claims_of: Callable[..., SingleClaims], counts: Counts) -> Iterator[Open]:
    opened: list[TransactionPool] = []

    def open_pool() -> TransactionPool:
        protocol = Protocol(store, LONG)
        opened.append(TransactionPool(store, protocol, claims_of(WORKER, TRANSACTIONAL_QUEUE), counts))
        return opened[-1]

    yield open_pool
    for each in opened:
        each.close()


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """A handler may wait for this; it is set at the end of the test in any case."""
    blocked = threading.Event()
    yield blocked
    blocked.set()


def reject(reason: str) -> None:
    raise Reject(reason)


def fail() -> None:
    raise OSError


def test_each_event_of_a_batch_gets_its_own_outcome(
    open_pool: Open, store: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch)
    caplog.set_level(logging.WARNING)
    pool = open_pool()
    events = pool.submit_batch(nothing, lambda: reject("not you"), lambda: reject("nor you"), fail)

    pool.run_in_this_thread()

    assert pool.packets == [(0, 1), (1, 2), (2, SLOTS), BATCH]  # the last one settles all of them
    assert pool.confirm(*events) == [
        ("completed", ""),
        ("rejected", "not you"),
        ("rejected", "nor you"),
        ("failed", ""),
    ]
    assert "outcome not used" not in caplog.messages
    assert pool.held() == []
    assert is_balanced(store)


def test_one_thread_works_while_handlers_are_fast(open_pool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    stay_fast(monkeypatch)
    pool, threads = open_pool(), set()
    events = pool.submit(*[lambda: threads.add(threading.get_ident())] * (FIRST + 3 * SLOTS))

    pool.start(SLOTS)
    pool.wait_until_decided(*events)

    assert len(threads) == 1
    assert pool.ran == [event.id for event in events]


def test_a_handler_that_blocks_holds_up_no_other_event_of_its_batch(
    open_pool: Open, blocked: threading.Event, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch, until_held_up=True)
    pool = open_pool()
    finished, slow, *unstarted = pool.submit_batch(nothing, lambda: blocked.wait(60), nothing, lambda: reject("no"))

    pool.start()
    pool.wait_until_decided(finished, *unstarted)

    assert pool.state(slow) == "running"
    assert pool.packets[:3] == [(0, 1), (1, 2), (2, SLOTS)]
    blocked.set()
    pool.wait_until_decided(slow)
    outcomes = pool.confirm(finished, slow, *unstarted)
    assert outcomes == [("completed", ""), ("completed", ""), ("completed", ""), ("rejected", "no")]
    assert len(pool.ran) == len(set(pool.ran)) == FIRST + SLOTS
    assert is_balanced(store)


@pytest.mark.parametrize("position", range(SLOTS))
def test_an_outcome_that_the_store_refuses_holds_up_no_other(
    position: int, open_pool: Open, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    pool = open_pool()
    events = pool.submit_batch(*[nothing] * SLOTS)
    refused = events.pop(position)
    store.set(KEYS.attempts(refused.id), "no list")

    pool.start()
    pool.wait_until_decided(*events)
    wait_until(lambda: "store refuses a command" in caplog.messages, "the thread has dropped its packet's claims")
    events += pool.submit(*[nothing] * SLOTS)
    pool.wait_until_decided(*events)  # the slots of the others are free again

    assert pool.confirm(*events) == [("completed", "")] * len(events)
    assert pool.state(refused) == "running"
    store.delete(KEYS.attempts(refused.id))  # the operator mends it
    pool.wait_until_decided(refused)
    assert pool.confirm(refused) == [("completed", "")]
    assert is_balanced(store)


def test_an_event_whose_deadline_passed_while_an_earlier_one_ran_never_starts(
    open_pool: Open, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool()

    def let_the_deadline_pass() -> None:
        jump(store, LONG.budget + 1)
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + LONG.budget / 1000)
        ours.setattr(executor, "time", later)

    first, *others = pool.submit_batch(let_the_deadline_pass, *[nothing] * FIRST)

    with monkeypatch.context() as ours:
        pool.run_in_this_thread()

    assert first.id in pool.ran
    assert not {event.id for event in others} & set(pool.ran)
    assert pool.confirm(*others) == [("abandoned", "")] * len(others)
    assert not store.exists(*(KEYS.attempts(event.id) for event in others))
    assert store.zrange(KEYS.orphans, 0, -1) == [first.id.encode()]  # the only one that may have had an effect
    assert pool.held() == []
    assert is_balanced(store)
    pool.protocol.beat(WORKER)
    (later,) = pool.submit(nothing)
    pool.run_in_this_thread()
    assert pool.confirm(later) == [("completed", "")]


def test_a_process_that_stops_runs_and_settles_the_batch_it_has_claimed(
    open_pool: Open, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch, until_held_up=True)
    pool = open_pool()

    def stop_and_wait() -> None:
        pool.stop()
        (unclaimed,) = pool.submit(nothing)
        events.append(unclaimed)
        pool.wait_until_decided(*others)  # another thread has them

    _, *others = events = pool.submit_batch(stop_and_wait, *[nothing] * FIRST)
    pool.start()
    pool.join()

    *claimed, unclaimed = events
    assert pool.confirm(*claimed) == [("completed", "")] * SLOTS
    assert pool.queued() == [unclaimed.id]
    assert pool.held() == []
    assert is_balanced(store)


class Broken(BaseException):
    """An internal error that no handler has raised."""


def test_a_thread_that_fails_leaves_its_batch_to_the_others(
    open_pool: Open, monkeypatch: pytest.MonkeyPatch, store: redis.Redis
) -> None:
    pool = open_pool()
    finished, lost, *unstarted = pool.submit_batch(*[nothing] * SLOTS)
    run = pool.runner.run

    def break_once(handler: Any, event: Any, *args: Any, **options: Any) -> Any:
        if str(event.id) == lost.id:
            raise Broken
        return run(handler, event, *args, **options)

    monkeypatch.setattr(pool.runner, "run", break_once)
    pool.start()
    pool.wait_until_decided(finished, *unstarted)

    assert [type(each.error) for each in pool.threads if each.error] == [Broken]
    assert pool.confirm(finished, *unstarted) == [("completed", "")] * (SLOTS - 1)
    assert pool.state(lost) == "running"  # the supervisor ends it, when the process has ended
    assert len(pool.held()) == 1


@pytest.mark.parametrize("position", range(SLOTS))
def test_an_event_whose_key_is_missing_is_given_back_and_the_others_are_decided(
    position: int, open_pool: Open, store: redis.Redis, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch)
    pool = open_pool()
    events = pool.submit_batch(*[nothing] * SLOTS)
    encrypted = events.pop(position)
    store.hset(KEYS.event(encrypted.id), "key_id", "another")

    pool.run_in_this_thread()

    assert pool.confirm(*events) == [("completed", "")] * len(events)
    assert (pool.state(encrypted), pool.queued()) == ("waiting", [encrypted.id])
    assert encrypted.id not in pool.ran
    assert counts.not_ready
    assert pool.held() == []
    assert is_balanced(store)
