"""The hand-off of jobs to threads."""

import threading
import time
from queue import SimpleQueue

import pytest

from surehook.workers.queue.handoff import Handoff, locked_lock

ITEMS = 20_000
THREADS = 8


class Threads:
    """Threads that take items, and a loop that gets those whose worker leaves them to it."""

    def __init__(self, workers: int) -> None:
        self.handoff: Handoff[int | None, str] = Handoff()
        self.taken: list[int] = []
        self.gone_on: list[int] = []
        self.in_use: set[str] = set()
        self.conflicts: list[str] = []
        self._left: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._loop = threading.Thread(target=self._run_loop)
        self._threads = [threading.Thread(target=self._take) for _ in range(THREADS)]
        for number in range(workers):
            self.handoff.release(f"worker-{number}")

    def run(self, *, ends_left: bool) -> None:
        """Has each item taken; every second one is left to the loop if `ends_left`."""
        self._ends_left = ends_left
        for thread in (self._loop, *self._threads):
            thread.start()
        for number in range(ITEMS):
            self.handoff.put(number)
            if number % 500 == 0:
                time.sleep(0)  # let them fall asleep
        while len(self.taken) < ITEMS or (ends_left and len(self.gone_on) < ITEMS // 2):
            assert all(thread.is_alive() for thread in self._threads)
            time.sleep(0.01)
        self.handoff.put(None)
        self._left.put(None)
        for thread in (self._loop, *self._threads):
            thread.join(20)
            assert not thread.is_alive()

    def _run_loop(self) -> None:
        while (each := self._left.get()) is not None:
            self.handoff.go_on(*each)

    def _take(self) -> None:
        wake_up, begun = locked_lock(), self.in_use
        while True:
            worker, item = self.handoff.get(wake_up)
            if item is None:
                self.handoff.go_on(worker, None)  # the others end, too
                return
            if worker in begun:
                self.gone_on.append(item)
            else:
                self.taken.append(item)
                if self._ends_left and item % 2:
                    begun.add(worker)
                    self._left.put((worker, item))
                    continue
            begun.discard(worker)
            self.handoff.release(worker)


@pytest.mark.parametrize("ends_left", [False, True])
@pytest.mark.parametrize("workers", [1, 3, THREADS])
def test_every_item_is_taken_once_and_every_thread_ends(workers: int, ends_left: bool) -> None:
    threads = Threads(workers)

    threads.run(ends_left=ends_left)

    assert sorted(threads.taken) == list(range(ITEMS))
    assert sorted(threads.gone_on) == (list(range(1, ITEMS, 2)) if ends_left else [])


def test_an_item_waits_until_a_worker_is_free() -> None:
    handoff: Handoff[str, str] = Handoff()
    handoff.release("one")
    got: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def take() -> None:
        wake_up = locked_lock()
        for _ in range(3):
            got.put(handoff.get(wake_up))

    thread = threading.Thread(target=take)
    thread.start()
    handoff.put("first")
    assert got.get(timeout=20) == ("one", "first")
    handoff.put("second")
    time.sleep(0.05)
    assert (got.empty(), len(handoff)) == (True, 1)

    handoff.go_on("one", "first")

    assert got.get(timeout=20) == ("one", "first")
    assert got.empty(), "its worker is not free yet"
    handoff.release("one")
    handoff.go_on("two", "third")  # wakes the thread, which would have called `get` itself
    assert {got.get(timeout=20)} == {("two", "third")}
    thread.join(20)
    assert handoff.first() == "second"
