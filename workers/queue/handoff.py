"""Claims that wait for a thread, and threads that wait for a claim.

A queue of the standard library wakes a thread for each claim that is put or taken, and where handlers are short they
spend their time with that. Here one thread at a time is on its way from sleep to work, and wakes the next if there is
more.
"""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Handoff(Generic[T]):
    """First come, first served. Every step on a deque is atomic in Python; there is no lock around them."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._sleepers: deque[threading.Lock] = deque()
        self._is_waking = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._wake()

    def first(self) -> T | None:
        try:
            return self._items[0]
        except IndexError:
            return None

    def take_all(self) -> list[T]:
        """What no thread has begun."""
        taken: list[T] = []
        try:
            while True:
                taken.append(self._items.popleft())
        except IndexError:
            return taken

    def get(self, bell: threading.Lock) -> T:
        """The next item, however long that takes. `bell` is the calling thread's own, and locked."""
        while True:
            try:
                item = self._items.popleft()
            except IndexError:
                self._sleep(bell)
                continue
            if self._items:
                self._wake()
            return item

    def _sleep(self, bell: threading.Lock) -> None:
        self._sleepers.append(bell)
        if self._items:  # put in between, perhaps before anybody could see this thread sleep
            try:
                self._sleepers.remove(bell)
            except ValueError:
                pass  # somebody has, and rings
            else:
                return
        bell.acquire()
        self._is_waking = False

    def _wake(self) -> None:
        # Whoever is on its way resets this before it looks for an item, so what was put before is not overlooked.
        if self._is_waking:
            return
        try:
            bell = self._sleepers.pop()
        except IndexError:
            return
        self._is_waking = True
        bell.release()


def locked_lock() -> threading.Lock:
    bell = threading.Lock()
    bell.acquire()
    return bell
