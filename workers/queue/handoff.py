"""Hands jobs to the threads that wait for them.

The standard library's queue wakes a thread for each item put or taken, and with short handlers threads would spend
their time on that. Here one thread at a time is waking up, and it wakes the next if there is more to do.
"""

import threading
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

from surehook.workers.deques import first_of, taken

T = TypeVar("T")
W = TypeVar("W")


class Handoff(Generic[T, W]):
    """Hands the oldest item to a thread, together with a worker that is free.

    A worker may leave its item to something else, and a thread goes on with it later; until then the worker is not
    free. Each step on a deque is atomic in Python, so no lock guards them.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._free: deque[W] = deque()
        self._resumed: deque[tuple[W, T]] = deque()
        self._sleepers: deque[threading.Lock] = deque()
        self._is_waking = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        if self._free:
            self._wake_one()

    def first(self) -> T | None:
        return first_of(self._items)

    def drain(self) -> list[T]:
        """Removes and returns all items that no thread has taken."""
        return list(taken(self._items))

    def release(self, worker: W) -> None:
        """Makes a worker free. Call `get` in the same thread next: no thread is woken for an item that waits."""
        self._free.append(worker)

    def resume(self, worker: W, item: T) -> None:
        """Has a thread go on with an item that this worker has begun. These come first."""
        self._resumed.append((worker, item))
        self._wake_one()

    def get(self, wake_up: threading.Lock) -> tuple[W, T]:
        """Waits for a worker and its item. `wake_up` is a locked lock of the calling thread's own."""
        while True:
            found = self._next()
            if found is None:
                self._sleep(wake_up)
                continue
            if self._has_next():
                self._wake_one()
            return found

    def _next(self) -> tuple[W, T] | None:
        if self._resumed:
            with suppress(IndexError):  # another thread may take the last one in between
                return self._resumed.popleft()
        try:
            worker = self._free.pop()
        except IndexError:
            return None
        try:
            return worker, self._items.popleft()
        except IndexError:
            self._free.append(worker)
            return None

    def _has_next(self) -> bool:
        return bool(self._resumed or (self._items and self._free))

    def _sleep(self, wake_up: threading.Lock) -> None:
        self._sleepers.append(wake_up)
        if self._has_next():  # put or resumed in between, perhaps before this thread was listed as asleep
            try:
                self._sleepers.remove(wake_up)
            except ValueError:
                pass  # another thread has removed it, and releases it
            else:
                return
        wake_up.acquire()
        self._is_waking = False

    def _wake_one(self) -> None:
        # A waking thread resets the flag before it looks for an item, so it sees every item put before.
        if self._is_waking:
            return
        try:
            wake_up = self._sleepers.pop()
        except IndexError:
            return
        self._is_waking = True
        wake_up.release()


def locked_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
