"""Finds the values of an event that may occur in given texts, in one pass over all values."""

import builtins
import contextlib
import keyword
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from surehook.workers.execution.masking.folding import fold_lines, symbols_of
from surehook.workers.execution.masking.occurrences import Occurrences
from surehook.workers.execution.masking.readings import has_octets, undone_lines
from surehook.workers.execution.masking.value_index import FIRST, LONGEST_KEY

SHORTEST_MASKED = 4
MOST_VALUES = 2_000_000
SHORT = 8  # shorter keys are masked only where they stand as the value is written
DATE_LENGTHS = range(7, 11)  # 2024W01 to 2024-01-01
# Milliseconds, as FusionAuth sends them. Smaller numbers would read as instants of 1970.
FIRST_INSTANT, LAST_INSTANT = (datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000 for year in (1971, 9999))
# They identify an event, not a person; without them an error could not be traced.
PLAIN_FIELDS = ("id", "type", "tenantId", "applicationId", "createInstant")
# A user may be called so, but a traceback without these words cannot be read.
ORDINARY_WORDS = {
    *(word for word in (*keyword.kwlist, *keyword.softkwlist, *dir(builtins)) if len(word) >= SHORTEST_MASKED),
    *("true", "false", "null", "none", "undefined", "self", "args", "kwargs", "line", "file", "File", "error", "Error"),
    *("Traceback", "traceback", "exception", "module", "most", "recent", "call", "last", "http", "https", "json"),
}


class TooManyValues(Exception):
    """The event has more values than are looked for."""


class Values(NamedTuple):
    """Folded values. Those in `written` are masked only where they look like one of the spellings given there."""

    free: set[str]
    written: dict[str, list[str]]
    symbols: set[str]
    """Values of hardly any letters or digits, without white space and quotes."""


def values_in(event: dict[str, Any], there: Occurrences) -> Values:
    """The values that may be there.

    Raises:
        TooManyValues: no text of this event may be shown.
    """
    found = Values(set(), {}, set())
    strings, numbers = _collected(event)
    strings.update(list(_as_typed(strings, numbers, there)))
    strings -= ORDINARY_WORDS
    several_lines = [value for value in strings if "\n" in value]
    for value in several_lines:
        strings.remove(value)
        strings.add(value.replace("\n", " "))
        # A SyntaxError quotes one line of what was compiled.
        strings.update(line for line in value.splitlines() if len(line) >= SHORTEST_MASKED)
    if any(map(has_octets, there.texts)):
        strings.update(list(_mended(strings)))
    for values in _partitioned(strings):
        _add(found, values, fold_lines("\n".join(values)), there)
    escaped = "\n".join(value for value in strings if "\\" in value or "%" in value or "&" in value)
    for undone in undone_lines(escaped, there.texts) if escaped else ():
        _add(found, undone.split("\n"), fold_lines(undone), there)
    return found


def _collected(event: dict[str, Any]) -> tuple[set[str], set[int | float]]:
    plain = {value for name in PLAIN_FIELDS if isinstance(value := event.get(name), str)}
    strings: set[str] = set()
    numbers: set[int | float] = set()
    waiting = [field for name, field in event.items() if name not in PLAIN_FIELDS]
    while waiting:  # no recursion: a body may be nested very deeply
        value = waiting.pop()
        kind = type(value)
        if kind is str:
            strings.add(value)
        elif kind is dict:
            waiting += value.values()
        elif kind is list:
            waiting += value
        elif kind is not bool and value is not None:
            numbers.add(value)
    if len(strings) + len(numbers) > MOST_VALUES:
        raise TooManyValues
    return {value for value in strings if len(value) >= SHORTEST_MASKED} - plain, numbers


def _as_typed(strings: Iterable[str], numbers: Iterable[int | float], there: Occurrences) -> Iterator[str]:
    """Numbers as text, and the spellings of values that the models turn into an instant or a day."""
    for text in strings:
        if len(text) in DATE_LENGTHS and text[:FIRST] in there.quads:
            with contextlib.suppress(ValueError):
                yield repr(date.fromisoformat(text)).partition("(")[2].rstrip(")")
    years = {int(quad) for quad in there.quads if quad.isdecimal() and quad.isascii()}
    for number in numbers:
        text = str(number)
        if len(text) >= SHORTEST_MASKED:
            yield text
        if FIRST_INSTANT < number < LAST_INSTANT:
            instant = datetime.fromtimestamp(int(number) / 1000, UTC).replace(tzinfo=None)
            if instant.year in years:
                yield str(instant)
                yield instant.isoformat()
                yield repr(instant).partition("(")[2].rstrip(")")


def _mended(strings: Iterable[str]) -> Iterator[str]:
    """UTF-8 that was read as Latin-1 before it came here: in an escaped text it reads as UTF-8."""
    for text in strings:
        if not text.isascii():
            with contextlib.suppress(UnicodeError):
                yield text.encode("latin-1").decode()


def _partitioned(strings: Iterable[str]) -> Iterator[list[str]]:
    """ASCII and other values, because most values are ASCII and folding those takes a tenth of the time."""
    ascii_values, others = list[str](), list[str]()
    for value in strings:
        (ascii_values if value.isascii() else others).append(value)
    yield from (values for values in (ascii_values, others) if values)


def _add(found: Values, values: Iterable[str], folded: Iterable[str], there: Occurrences) -> None:
    for value, key in zip(values, folded, strict=True):
        if len(key) < FIRST:
            symbols = symbols_of(value)
            if len(symbols) >= SHORTEST_MASKED:
                found.symbols.add(symbols)
        elif len(key) > LONGEST_KEY:
            found.free.update(part for part in _parts(key) if there.may_have(part))
        elif there.may_have(key):
            if len(key) < SHORT or value.isalpha():
                found.written.setdefault(key, []).append(value)
            else:
                found.free.add(key)


def _parts(key: str) -> Iterator[str]:
    """The parts of a long value; the last is its end, so that all are equally long."""
    for start in range(0, len(key) - LONGEST_KEY, LONGEST_KEY):
        yield key[start : start + LONGEST_KEY]
    yield key[-LONGEST_KEY:]
