"""When a thread waits for its turn, and what ends that."""

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.stack import wait_until
from surehook.workers.transactional.batch import Batch
from surehook.workers.transactional.pool import (
    FAST_SECONDS,
    HELD_UP_SECONDS,
    HIGHEST,
    SLOW_COSTS,
    SlotPool,
)
from tests.support.slot_pool import FOREVER, SLOTS, claimed, finished, note

SLOW_SECONDS = FAST_SECONDS * 2


class WaitingThread(threading.Thread):
    """A thread that has joined and gets its turn."""

    def __init__(self, pool: SlotPool, *, is_out_of_turn: bool = False) -> None:
        super().__init__(daemon=True)
        self._pool = pool
        self._is_out_of_turn = is_out_of_turn
        self.has_turn = threading.Event()

    def run(self) -> None:
        self._pool.join()
        self._pool.wait_for_turn(Batch(), is_out_of_turn=self._is_out_of_turn)
        self.has_turn.set()

    def is_waiting(self) -> bool:
        frame = sys._current_frames().get(self.ident or 0)  # noqa: SLF001 - there is no other way to look
        return frame is not None and frame.f_code is threading.Condition.wait.__code__

    def gets_its_turn(self) -> bool:
        return self.has_turn.wait(10)


Start = Callable[..., WaitingThread]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a thread, and returns it when it waits."""
    started: list[tuple[SlotPool, WaitingThread]] = []

    def start(pool: SlotPool, **options: bool) -> WaitingThread:
        thread = WaitingThread(pool, **options)
        started.append((pool, thread))
        thread.start()
        wait_until(thread.is_waiting, "it waits")
        return thread

    yield start
    for pool, thread in started:
        pool.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_waits_while_enough_others_work(fast: SlotPool, start: Start) -> None:
    fast.join()

    thread = start(fast)

    assert fast.may_claim  # it does not count while it waits
    fast.leave()
    assert thread.gets_its_turn()


def test_one_of_several_threads_that_wait_replaces_one_that_ends(fast: SlotPool, start: Start) -> None:
    fast.join()
    threads = [start(fast), start(fast)]

    fast.leave()

    wait_until(lambda: any(each.has_turn.is_set() for each in threads), "one has its turn")
    wait_until(lambda: [each.is_waiting() for each in threads].count(True) == 1, "the other waits again")
    assert [each.has_turn.is_set() for each in threads].count(True) == 1


WAYS: dict[str, Callable[[SlotPool], None]] = {
    "the process stops": SlotPool.stop,
    "all must work": SlotPool.let_all_work,
    "handlers become slow": lambda pool: note(pool, HIGHEST // SLOW_COSTS, SLOW_SECONDS),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_thread_gets_its_turn_when(way: str, fast: SlotPool, start: Start) -> None:
    fast.join()
    threads = [start(fast), start(fast)]

    WAYS[way](fast)

    assert all(each.gets_its_turn() for each in threads)


@pytest.mark.parametrize("is_finished", [False, True], ids=["claimed", "finished"])
def test_every_thread_gets_its_turn_when_a_run_is_held_up(fast: SlotPool, start: Start, *, is_finished: bool) -> None:
    fast.join()
    batch = fast.new_batch()
    threads = [start(fast), start(fast)]

    batch.claimed.append(claimed(-FOREVER))
    batch.finished.append(finished(-FOREVER))
    fast.help_if_held_up()
    assert fast.is_fast

    if is_finished:
        batch.finished.appendleft(finished(FOREVER))
    else:
        batch.claimed.appendleft(claimed(FOREVER))
    fast.help_if_held_up()
    assert all(each.gets_its_turn() for each in threads)
    assert not fast.is_fast


def test_slow_handlers_make_a_thread_wait_only_for_a_slot(pool: SlotPool, start: Start) -> None:
    slots = pool.take_free(SLOTS)
    threads = [start(pool), start(pool)]

    pool.release(slots[:1])

    assert all(each.gets_its_turn() for each in threads)  # the first to take the slot has it


def test_a_slot_that_may_hold_a_claim_ends_the_wait_for_one(pool: SlotPool, start: Start) -> None:
    slot, *_ = pool.take_free(SLOTS)
    thread = start(pool)

    slot.may_hold_claim = True
    pool.release([slot])

    assert thread.gets_its_turn()


def test_a_thread_does_not_wait_when_there_are_slots_and_handlers_are_slow(pool: SlotPool) -> None:
    for _ in range(SLOTS):
        pool.join()

    pool.wait_for_turn(Batch())  # returns


def test_a_thread_with_runs_in_its_batch_does_not_wait(fast: SlotPool) -> None:
    fast.take_free(SLOTS)
    own = Batch()
    own.claimed.append(claimed(0))

    fast.wait_for_turn(own)  # returns


@pytest.mark.parametrize("is_held_up", [False, True])
def test_other_threads_get_their_turn_while_one_can_do_nothing(is_held_up: bool, fast: SlotPool, start: Start) -> None:
    fast.join()
    batch = fast.new_batch()
    threads = [start(fast), start(fast)]

    batch.is_busy_from = time.monotonic() - HELD_UP_SECONDS * (2 if is_held_up else -100)
    fast.help_if_held_up()

    assert fast.is_fast == (not is_held_up)
    if is_held_up:
        assert all(each.gets_its_turn() for each in threads)
    note(fast, HIGHEST, 0.0)
    assert fast.is_fast == (not is_held_up)  # its thread does not count as one that works


def test_a_thread_out_of_turn_gets_a_slot_of_the_one_that_works_for_all(fast: SlotPool, start: Start) -> None:
    fast.join()
    slots = fast.take_free(SLOTS)
    thread = start(fast, is_out_of_turn=True)
    other = start(fast)
    assert fast.most_at_once == SLOTS - 1

    fast.release(slots[:1])

    assert thread.gets_its_turn()
    assert not other.has_turn.is_set()
    assert fast.most_at_once == SLOTS
