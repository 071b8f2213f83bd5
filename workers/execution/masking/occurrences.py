"""Says quickly which values cannot occur in some texts, as an event may have a million values."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from surehook.workers.execution.masking.folding import Folded
from surehook.workers.execution.masking.value_index import CUT_LENGTH, FIRST, LONGEST_KEY

LONG = 8
DOTS = re.compile(r"\.{3,}|…")
# Between a cut value and the dots: the bracket of "[...]", a quote.
_NEAR = 3
# Dots may have cut an escape, of which some characters are left.
LONGEST_CUT_ESCAPE = 6
_WIDTH = LONGEST_KEY + LONGEST_CUT_ESCAPE
_MOST_CUTS = 200  # beyond this, all values that have four of the characters count as possible


class Occurrences:
    """The sequences of four and of eight characters in all readings of some texts, and what is cut off by dots."""

    def __init__(self, texts: Sequence[str], folded: Iterable[Folded]) -> None:
        self.texts = texts
        self.quads: set[str] = set()
        self._longer: set[str] = set()
        self._quads_of_beginnings: set[str] = set()
        self._quads_of_ends: set[str] = set()
        self._beginnings: set[str] = set()
        self._ends: set[str] = set()
        self._cuts = 0
        for each in folded:
            self.quads.update(_sequences(each.text, FIRST))
            self._longer.update(_sequences(each.text, LONG))
            for end, start in cuts(each):
                self._add_cut(each.text, end, start)

    def may_have(self, key: str) -> bool:
        """Looks at a key's beginning and middle: many values have the same beginning or the same end."""
        if len(key) < LONG or len(key) == LONGEST_KEY:  # a long value's last part may be cut
            is_there = key[:FIRST] in self.quads
        else:
            middle = min(len(key) // 2 - FIRST, CUT_LENGTH - LONG)
            is_there = key[:LONG] in self._longer and key[middle : middle + LONG] in self._longer
        return is_there or self._may_be_cut(key)

    def _add_cut(self, text: str, end: int, start: int) -> None:
        self._quads_of_beginnings.update(_sequences(text[max(0, end - _WIDTH) : end], FIRST))
        self._quads_of_ends.update(_sequences(text[start : start + _WIDTH], FIRST))
        self._cuts += 1
        if self._cuts > _MOST_CUTS:
            return
        for skipped in range(LONGEST_CUT_ESCAPE):
            last, first = end - skipped, start + skipped
            self._beginnings.update(text[at:last] for at in range(max(0, last - LONGEST_KEY), last - FIRST + 1))
            self._ends.update(text[first:at] for at in range(first + FIRST, min(len(text), first + LONGEST_KEY) + 1))

    def _may_be_cut(self, key: str) -> bool:
        begins_so, ends_so = key[:FIRST] in self._quads_of_beginnings, key[-FIRST:] in self._quads_of_ends
        if self._cuts > _MOST_CUTS:
            return begins_so or ends_so
        lengths = range(FIRST, len(key) + 1)
        return (begins_so and any(key[:length] in self._beginnings for length in lengths)) or (
            ends_so and any(key[-length:] in self._ends for length in lengths)
        )


def cuts(folded: Folded) -> Iterator[tuple[int, int]]:
    """Returns for each group of dots where the text before it ends and the text after it starts."""
    places = folded.places
    for dots in DOTS.finditer(folded.reading.text):
        end = bisect_left(places, dots.start())
        start = bisect_left(places, dots.end(), end)
        is_end = end > 0 and dots.start() - places[end - 1] <= _NEAR + 1
        is_start = start < len(places) and places[start] - dots.end() <= _NEAR
        yield end if is_end else 0, start if is_start else len(places)


def _sequences(text: str, length: int) -> Iterator[str]:
    return (text[at : at + length] for at in range(len(text) - length + 1))
