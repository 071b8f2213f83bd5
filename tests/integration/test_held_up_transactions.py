"""While one thread of a process works for all, whatever stops it gives the rest of its batch to the others."""

import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional import executor as executor_module
from surehook.workers.transactional import fetching, settlements
from surehook.workers.transactional.batch import Batch, FinishedRun
from surehook.workers.transactional.pool import (
    BECOMES_FAST,
    FAST_SECONDS,
    HELD_UP_SECONDS,
    HIGHEST,
    LONGEST_BATCH_SECONDS,
    SLOW_COSTS,
    STAYS_FAST,
)
from surehook.workers.transactional.settlements import Settlements
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.test_transaction_batches import Open, blocked, open_pool
from tests.support.transaction_pool import FIRST, SLOTS, RecordingExchange, nothing, stay_fast
from tests.support.transactions import KEYS

__all__ = ["blocked", "open_pool"]
MANY = 2 * BECOMES_FAST


def test_a_handler_that_blocks_stops_no_other_event(open_pool: Open, blocked: threading.Event) -> None:
    pool = open_pool()
    slow, *others = pool.submit_batch(lambda: blocked.wait(60), *[nothing] * FIRST)
    pool.start(SLOTS)
    pool.wait_until_decided(*others)

    # While it blocks, the others become fast.
    later = pool.submit(*[nothing] * MANY)
    pool.wait_until_decided(*later)

    assert pool.state(slow) == "running"


def test_an_outcome_that_the_store_refuses_stops_no_other_event(open_pool: Open, store: redis.Redis) -> None:
    pool = open_pool()
    refused, *others = pool.submit_batch(*[nothing] * SLOTS)
    store.set(KEYS.attempts(refused.id), "no list")
    pool.start(SLOTS)
    pool.wait_until_decided(*others)

    later = pool.submit(*[nothing] * MANY)
    pool.wait_until_decided(*later)

    assert pool.state(refused) == "running"
    store.delete(KEYS.attempts(refused.id))
    pool.wait_until_decided(refused)


def test_claims_that_one_thread_finds_again_wait_for_no_slow_handler(open_pool: Open, blocked: threading.Event) -> None:
    """All slots may hold a claim, as at the start or after a lost packet, and handlers are slow."""
    pool = open_pool()
    pool.pool.let_all_work()
    for slot in pool.pool.take_free(SLOTS):
        slot.may_hold_claim = True
        pool.pool.release([slot])
    slow, *others = pool.submit(lambda: blocked.wait(60), *[nothing] * FIRST)
    executor = pool.executor()
    thread = threading.Thread(target=lambda: executor.run_until_idle(0.01), daemon=True)
    thread.start()
    wait_until(lambda: pool.ran == [slow.id], "it blocks")
    assert len(pool.held()) == 1

    pool.start(2)

    pool.wait_until_decided(*others)
    blocked.set()
    thread.join(10)


def test_a_batch_whose_first_handlers_end_the_fast_time_is_not_held_up(
    open_pool: Open, blocked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 20)
    pool = open_pool()

    def become_slow() -> None:
        for _ in range((HIGHEST - STAYS_FAST) // SLOW_COSTS + 1):
            pool.pool.note_run(2 * FAST_SECONDS)

    _, _, *others = pool.submit_batch(become_slow, lambda: blocked.wait(60), nothing, nothing)
    pool.start(2)

    pool.wait_until_decided(*others)

    blocked.set()
    pool.stop()
    pool.submit(nothing, nothing)  # ends the wait


def test_a_connection_with_unread_replies_is_not_used_again(
    open_pool: Open, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store does not know the script, and the single call for one of the batch is lost."""
    pool = open_pool()
    events = pool.submit_batch(*[nothing] * FIRST, store.script_flush)
    failed: list[str] = []
    for slot in pool.slots:

        def fail_once(*args: Any, settle: Any = slot.worker.settle) -> str:
            if not failed:
                failed.append("")
                raise redis.ConnectionError
            return str(settle(*args))

        monkeypatch.setattr(slot.worker, "settle", fail_once)
    executor = pool.executor()

    for _ in range(3):
        executor.run_until_idle(0.01)

    assert failed
    assert pool.confirm(*events) == [("completed", "")] * SLOTS
    executor.close()


def test_a_thread_that_gives_one_event_back_slowly_runs_the_others_of_its_batch(
    open_pool: Open, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch)
    pool = open_pool()
    first, *others = pool.submit_batch(*[nothing] * SLOTS)
    store.hset(KEYS.event(first.id), "key_id", "another")
    for slot in pool.slots:

        def give_back(*args: Any, give_back: Any = slot.worker.give_back) -> bool:
            # In force again, now that the batch is claimed.
            monkeypatch.setattr(executor_module, "LONGEST_BATCH_SECONDS", LONGEST_BATCH_SECONDS)
            time.sleep(4 * LONGEST_BATCH_SECONDS)
            return bool(give_back(*args))

        monkeypatch.setattr(slot.worker, "give_back", give_back)
    executor = pool.executor()

    executor.run_until_idle(0.01)

    assert all(pool.is_decided(each) for each in others)
    executor.close()


def test_an_event_claimed_with_a_refused_outcome_runs_in_time(open_pool: Open, store: redis.Redis) -> None:
    """The packet that reports the outcome claims the next event for the same slot."""
    pool = open_pool()
    refused, *others = pool.submit_batch(*[nothing] * SLOTS)
    more = pool.submit(*[nothing] * SLOTS)
    store.set(KEYS.attempts(refused.id), "no list")
    pool.start(SLOTS)

    pool.wait_until_decided(*others, *more)

    store.delete(KEYS.attempts(refused.id))


def test_a_thread_whose_outcome_another_has_settled_claims_again(
    open_pool: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread loses its connection, and pauses for longer than its outcome waits for it."""
    pool = open_pool()
    pool.pool.let_all_work()
    executor, other = pool.executor(), pool.executor()
    losses = [0.0]
    send, sleep = RecordingExchange.send, time.sleep

    def lose(exchange: RecordingExchange, finished: Any, *args: Any) -> None:
        if losses and finished:
            losses.pop()
            raise redis.ConnectionError
        send(exchange, finished, *args)

    def pause(_: float) -> None:
        sleep(2 * HELD_UP_SECONDS)
        assert other.run_until_idle(0.01) == 1
        assert other.run_until_idle(0.01) == 0  # nor is a claim lost

    monkeypatch.setattr(RecordingExchange, "send", lose)
    monkeypatch.setattr(settlements, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    first = pool.submit(nothing)
    assert executor.run_until_idle(0.01) == 0
    assert pool.confirm(*first) == [("completed", "")]

    pool.submit(nothing)

    assert executor.run_until_idle(0.01) == 1
    executor.close()
    other.close()


def test_an_event_that_the_store_refuses_to_start_delays_no_other_of_its_packet(
    open_pool: Open, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_fast(monkeypatch)
    pool = open_pool()
    broken, *others = pool.submit_batch(*[nothing] * SLOTS)
    store.set(KEYS.transaction(broken.id), "no hash")
    executor = pool.executor()

    executor.run_until_idle(0.01)  # raises nothing

    assert pool.confirm(*others) == [("completed", "")] * FIRST
    executor.close()


def test_a_trouble_is_over_when_another_thread_has_settled(caplog: pytest.LogCaptureFixture, open_pool: Open) -> None:
    caplog.set_level(logging.INFO)
    report, slot = StoreReport(), open_pool().slots[0]
    run = FinishedRun(slot, Transaction("id", "round", 1, "user.create", "", "", b""), Outcome("completed"), 0.0)
    one, another = Settlements(Batch(), report), Settlements(Batch(), report)
    one.note([run], [redis.ResponseError("ERR")])
    assert "store available again" not in caplog.messages

    another.note([run], ["completed"])

    assert "store available again" in caplog.messages
