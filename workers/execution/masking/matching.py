"""Finds the places of an event's values in a folded text."""

import re
import unicodedata
from collections.abc import Iterator

from surehook.workers.execution.masking.folding import GAP, LINE_BREAK, Folded, gaps_of
from surehook.workers.execution.masking.occurrences import LONGEST_CUT_ESCAPE, cuts
from surehook.workers.execution.masking.value_index import CUT_LENGTH, FIRST, LONGEST_KEY, ValueIndex
from surehook.workers.execution.masking.values import SHORT, Values

_CUT_ESCAPE = re.compile(r"[\\%&#=]([xuU]?[0-9a-zA-Z]{1,4})$")

Span = tuple[int, int]


class Matcher:
    """Looks up values at each position of a text."""

    def __init__(self, values: Values) -> None:
        self._values = values
        keys = values.free | values.written.keys()
        self._index = ValueIndex(keys)
        self._backwards = ValueIndex(key[::-1] for key in keys)
        self._symbols = ValueIndex(values.symbols)

    def spans(self, folded: Folded) -> Iterator[Span]:
        """The places of values in the original text."""
        found = list(self._whole_values(folded))
        found += self._cut_values(folded, {end for _, end in found})
        return _in_the_original(folded, _with_parts_joined(found))

    def symbol_spans(self, symbols: Folded) -> Iterator[Span]:
        text = symbols.text
        for at in range(len(text) - FIRST + 1):
            if text[at : at + FIRST] in self._symbols.firsts:
                for key in self._symbols.beginning_at(text, at):
                    if symbols.begins_word(at) and symbols.ends_word(at + len(key)):
                        yield from _in_the_original(symbols, [(at, at + len(key))])
                        break

    def _whole_values(self, folded: Folded) -> Iterator[Span]:
        text, firsts = folded.text, self._index.firsts
        part_end = -1
        for at in range(len(text) - FIRST + 1):
            if text[at : at + FIRST] not in firsts:
                continue
            end = self._end_of_value(folded, at)
            if end == at:
                # Python cuts some long values without a sign of it.
                end += self._index.cut_length(text, at, FIRST if at == part_end else CUT_LENGTH)
            if end > at:
                part_end = end if end - at == LONGEST_KEY else part_end
                yield at, end

    def _end_of_value(self, folded: Folded, at: int) -> int:
        for key in self._index.beginning_at(folded.text, at):
            end = at + len(key)
            if key in self._values.free or any(
                _is_written_so(value, folded, at, end) for value in self._values.written[key]
            ):
                return end
        return at

    def _cut_values(self, folded: Folded, ends: set[int]) -> Iterator[Span]:
        """Values of which a library shows only the beginning or the end, beside dots."""
        for end, start in cuts(folded):
            yield from self._beginning_before(folded, end, ends)
            yield from self._end_after(folded, start)

    def _beginning_before(self, folded: Folded, end: int, ends: set[int]) -> Iterator[Span]:
        text, firsts = folded.text, self._index.firsts
        whole = end - _length_of_cut_escape(folded, end)
        for at in range(max(0, whole - LONGEST_KEY), whole - FIRST + 1):
            if (
                text[at : at + FIRST] in firsts
                and self._index.is_beginning(text[at:whole])
                and (at in ends or folded.begins_word(at))
            ):
                yield at, end
                return

    def _end_after(self, folded: Folded, start: int) -> Iterator[Span]:
        text, firsts = folded.text, self._backwards.firsts
        for at in range(start, start + LONGEST_CUT_ESCAPE):
            for end in range(min(len(text), at + LONGEST_KEY), at + FIRST - 1, -1):
                backwards = text[at:end][::-1]
                if backwards[:FIRST] in firsts and self._backwards.is_beginning(backwards) and folded.ends_word(end):
                    yield start, end
                    return
            if at + 1 >= len(text) or folded.gap_before(at + 1):
                return


def _length_of_cut_escape(folded: Folded, end: int) -> int:
    """Counts the characters before the dots that are the beginning of an escape such as backslash, u, 0, 0, e, 9."""
    if not end:
        return 0
    place = folded.places[end - 1] + 1
    cut = _CUT_ESCAPE.search(folded.reading.text[max(0, place - LONGEST_CUT_ESCAPE) : place])
    return len(cut[1]) if cut else 0


def _is_written_so(value: str, folded: Folded, at: int, end: int) -> bool:
    """Says whether a short or ordinary word stands there as the value is written, and not as part of another word."""
    if not (folded.begins_word(at) and folded.ends_word(end)):
        return False
    gaps = [folded.gap_before(place) for place in range(at + 1, end)]
    if not value.isalpha():
        expected = gaps_of(value)
        return all(gap == LINE_BREAK or (gap == GAP) == (place in expected) for place, gap in enumerate(gaps, 1))
    return GAP not in gaps and _has_case_of(value, folded.shown(at, end))


def _has_case_of(value: str, shown: str) -> bool:
    """A name such as Will or Mark is an ordinary word in lower case, and so is a constant such as ACTIVE."""
    if unicodedata.normalize("NFC", shown) == unicodedata.normalize("NFC", value) or value.islower():
        return True
    if value.isupper():
        return shown.isupper()
    return not shown.islower() or len(value) >= SHORT


def _with_parts_joined(spans: list[Span]) -> list[Span]:
    """Joins spans that overlap, and the parts of a long value, which follow each other."""
    joined: list[Span] = []
    previous_length = 0
    for start, end in sorted(spans):
        if joined and (start < joined[-1][1] or (start == joined[-1][1] and previous_length == LONGEST_KEY)):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
        previous_length = end - start
    return joined


def _in_the_original(folded: Folded, spans: list[Span]) -> Iterator[Span]:
    begins, ends, places = folded.reading.begins, folded.reading.ends, folded.places
    for start, end in spans:
        # Not the first and the last alone: a match may cross two runs of base64, which overlap in the original.
        covered = places[start:end]
        yield min(begins[place] for place in covered), max(ends[place] for place in covered)
