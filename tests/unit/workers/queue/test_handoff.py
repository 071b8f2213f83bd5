"""The hand-off of jobs to threads."""

import threading
import time
from collections import deque
from queue import SimpleQueue

import pytest

from harness.stack import wait_until
from surehook.workers.queue.handoff import Handoff, locked_lock

ITEMS = 20_000
THREADS = 8


class Threads:
    """Threads that take items, and another one that resumes those whose worker leaves them to it."""

    def __init__(self, workers: int, *, leaves_odd_ones: bool) -> None:
        self.handoff: Handoff[int | None, str] = Handoff()
        self.taken: list[int] = []
        self.resumed: list[int] = []
        self.held_twice: list[str] = []
        self._leaves_odd_ones = leaves_odd_ones
        self._held: set[str] = set()
        self._begun: set[str] = set()
        self._left: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self._threads = [threading.Thread(target=self._take, daemon=True) for _ in range(THREADS)]
        for number in range(workers):
            self.handoff.release(f"worker-{number}")

    def run(self) -> None:
        threading.Thread(target=self._resume, daemon=True).start()
        for thread in self._threads:
            thread.start()
        for number in range(ITEMS):
            self.handoff.put(number)
            if number % 500 == 0:
                time.sleep(0)  # let them fall asleep
        left = ITEMS // 2 if self._leaves_odd_ones else 0
        wait_until(lambda: (len(self.taken), len(self.resumed)) == (ITEMS, left), "all are taken", seconds=60)
        self.handoff.put(None)
        wait_until(lambda: not any(thread.is_alive() for thread in self._threads), "the threads end")

    def _resume(self) -> None:
        while True:
            self.handoff.resume(*self._left.get())

    def _take(self) -> None:
        wake_up = locked_lock()
        while True:
            worker, item = self.handoff.get(wake_up)
            if item is None:
                self.handoff.resume(worker, None)  # the others end, too
                return
            if worker in self._held:
                self.held_twice.append(worker)
            self._held.add(worker)
            is_begun = worker in self._begun
            (self.resumed if is_begun else self.taken).append(item)
            self._held.discard(worker)
            if self._leaves_odd_ones and item % 2 and not is_begun:
                self._begun.add(worker)
                self._left.put((worker, item))
            else:
                self._begun.discard(worker)
                self.handoff.release(worker)


@pytest.mark.parametrize("leaves_odd_ones", [False, True])
@pytest.mark.parametrize("workers", [1, 3, THREADS])
def test_every_item_is_taken_once_and_every_thread_ends(workers: int, leaves_odd_ones: bool) -> None:
    threads = Threads(workers, leaves_odd_ones=leaves_odd_ones)

    threads.run()

    assert sorted(threads.taken) == list(range(ITEMS))
    assert sorted(threads.resumed) == (list(range(1, ITEMS, 2)) if leaves_odd_ones else [])
    assert threads.held_twice == []


def test_an_item_waits_until_a_worker_is_free() -> None:
    handoff: Handoff[str, str] = Handoff()
    wake_up = locked_lock()
    handoff.release("one")
    handoff.put("first")
    handoff.put("second")
    assert handoff.get(wake_up) == ("one", "first")

    handoff.resume("one", "first")
    assert handoff.get(wake_up) == ("one", "first"), "not the second: no worker is free"

    handoff.release("one")
    assert handoff.get(wake_up) == ("one", "second")


def test_an_item_that_is_put_just_before_a_thread_sleeps_is_taken() -> None:
    handoff: Handoff[str, str] = Handoff()
    got: SimpleQueue[tuple[str, str]] = SimpleQueue()

    class Sleepers(deque[threading.Lock]):
        def append(self, wake_up: threading.Lock) -> None:
            handoff.put("item")  # when no thread is listed as asleep
            super().append(wake_up)

    handoff._sleepers = Sleepers()  # noqa: SLF001 - the item must come between two of the thread's steps
    handoff.release("one")

    threading.Thread(target=lambda: got.put(handoff.get(locked_lock())), daemon=True).start()

    assert got.get(timeout=20) == ("one", "item")
