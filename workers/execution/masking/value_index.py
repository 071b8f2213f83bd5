"""Finds which values begin at a place of a text: a sorted list, and a set of first characters."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

FIRST = 4
LONGEST_KEY = 64
# Without dots that say so, a value counts as cut only when this much of it is there.
CUT_LENGTH = 32


class ValueIndex:
    """Keys of 4 to 64 characters."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = sorted(keys)
        self._shorter = list(_longest_proper_prefixes(self._keys))
        self.firsts = {key[:FIRST] for key in self._keys}
        self._long = {key[:CUT_LENGTH] for key in self._keys if len(key) > CUT_LENGTH}

    def beginning_at(self, text: str, at: int) -> Iterator[str]:
        """All keys that the text has at this place, the longest first."""
        there = text[at : at + LONGEST_KEY]
        number = bisect_right(self._keys, there) - 1
        while number >= 0:
            key = self._keys[number]
            if there.startswith(key):
                yield key
            number = self._shorter[number]

    def is_beginning(self, text: str) -> bool:
        """Says whether a key begins with this text."""
        number = bisect_left(self._keys, text)
        return number < len(self._keys) and self._keys[number].startswith(text)

    def cut_length(self, text: str, at: int, shortest: int) -> int:
        """How much of a key the text has at this place; 0 if that is less than `shortest`."""
        if shortest >= CUT_LENGTH and text[at : at + CUT_LENGTH] not in self._long:
            return 0
        there = text[at : at + LONGEST_KEY]
        number = bisect_right(self._keys, there)
        neighbours = self._keys[max(0, number - 1) : number + 1]
        length = max((_common_length(there, key) for key in neighbours), default=0)
        return length if length >= shortest else 0


def _common_length(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _longest_proper_prefixes(keys: list[str]) -> Iterator[int]:
    """For each of the sorted keys the number of the longest other key that it begins with, or -1."""
    open_keys: list[int] = []
    for number, key in enumerate(keys):
        while open_keys and not key.startswith(keys[open_keys[-1]]):
            open_keys.pop()
        yield open_keys[-1] if open_keys else -1
        open_keys.append(number)
