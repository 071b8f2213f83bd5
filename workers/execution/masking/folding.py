"""Folds text to its letters and digits in one case, without accents: what all spellings of a value have in common."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from surehook.workers.execution.masking.readings import Reading

_WORD = re.compile(r"[^\W_]+")
_SYMBOLS = re.compile(r"[^\s'\"\\]+")
_NO_WORD = re.compile(r"[^\w\n]+|_+")
_ASCII_WORDS = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}
# Scripts without spaces between words begin here: Thai, then the East Asian ones.
_FIRST_WITHOUT_SPACES = "\u0e00"
NO_GAP, LINE_BREAK, GAP = 0, 1, 2


class Folded(NamedTuple):
    """A reading's folded text, and for each of its characters the place in the reading."""

    text: str
    places: list[int]
    reading: Reading

    def gap_before(self, at: int) -> int:
        """The kind of gap that the reading has between a character and the one before it."""
        return gap_in(self.reading.text[self.places[at - 1] + 1 : self.places[at]])

    def shown(self, start: int, end: int) -> str:
        return self.reading.text[self.places[start] : self.places[end - 1] + 1]

    def begins_word(self, at: int) -> bool:
        return is_boundary(self.reading.text, self.places[at])

    def ends_word(self, end: int) -> bool:
        """Says whether a word ends with the character before `end`."""
        return is_boundary(self.reading.text, self.places[end - 1] + 1)


def fold_reading(reading: Reading) -> Folded:
    pieces: list[str] = []
    places: list[int] = []
    for match in _WORD.finditer(reading.text):
        word = match[0]
        if word.isascii():
            pieces.append(word.lower())
            places += range(*match.span())
            continue
        for place, character in enumerate(word, match.start()):
            folded = _fold_character(character)
            pieces.append(folded)
            places += [place] * len(folded)
    return Folded("".join(pieces), places, reading)


def symbols_of_reading(reading: Reading) -> Folded:
    """Keeps everything but white space, quotes and backslashes: for values that have hardly any letters or digits."""
    pieces: list[str] = []
    places: list[int] = []
    for match in _SYMBOLS.finditer(reading.text):
        pieces.append(match[0])
        places += range(*match.span())
    return Folded("".join(pieces), places, reading)


def symbols_of(text: str) -> str:
    return "".join(_SYMBOLS.findall(text))


def fold_lines(text: str) -> list[str]:
    """Folds each line of a text; for many values at once."""
    if text.isascii():
        return text.lower().translate(_ASCII_WORDS).split("\n")
    return _NO_WORD.sub("", _fold_case(text)).split("\n")


def gap_in(between: str) -> int:
    """Characters that are not shown are no gap, nor are accents that stand on their own."""
    if not between or all(unicodedata.category(each) in ("Mn", "Cf") or each == "\0" for each in between):
        return NO_GAP
    return LINE_BREAK if "\n" in between else GAP


def gaps_of(text: str) -> set[int]:
    """The places in a folded text at which the original has a gap."""
    folded = fold_reading(Reading(text, range(len(text)), range(1, len(text) + 1)))
    return {at for at in range(1, len(folded.text)) if folded.gap_before(at)}


def is_boundary(text: str, at: int) -> bool:
    """Says whether a word ends or begins here: between letters and digits, and inside camelCase too."""
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if not (before.isalnum() and after.isalnum()) or max(before, after) >= _FIRST_WITHOUT_SPACES:
        return True
    return before.isdigit() != after.isdigit() or (before.islower() and after.isupper())


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    return "".join(each for each in _fold_case(character) if each.isalnum())


def _fold_case(text: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
