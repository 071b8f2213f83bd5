"""Reads and takes the items of deques that several threads use."""

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def first_of(items: deque[T]) -> T | None:
    """The first item of a deque from which other threads take items."""
    try:
        return items[0]
    except IndexError:
        return None


def taken(items: deque[T]) -> Iterator[T]:
    """Takes items as long as there are any; other threads may take some in between."""
    while True:
        try:
            item = items.popleft()
        except IndexError:
            return
        yield item
