"""How many events match, as far as it was counted."""

from collections.abc import Iterable
from typing import NamedTuple

READ_WORK = 10
"""Reading a record takes as long as looking this many up where they are stored."""
MOST_WORK = 5_000
"""The events that are looked up for one count: a few tenths of a second."""


class Count(NamedTuple):
    """How many events match."""

    number: int
    is_more: bool
    """There are `number` at least: it was not counted further."""


class Portion(NamedTuple):
    """A part of a count."""

    number: int
    looked_up: int = 0
    """The events that a script has looked at, to find those that match."""
    read: int = 0
    """The events whose records were read."""


def add_up(portions: Iterable[Portion], at_most: int | None) -> Count:
    """Adds portions until there are more than `at_most`, or there was too much work; None: adds all."""
    number = work = 0
    for portion in portions:
        number += portion.number
        work += portion.looked_up + READ_WORK * portion.read
        if at_most is not None and number > at_most:
            return Count(at_most, is_more=True)
        if at_most is not None and work > MOST_WORK:
            return Count(number, is_more=True)
    return Count(number, is_more=False)
