"""Masks errors: tracebacks keep their frames, but no message keeps a value of the event."""

import contextlib
import json
import re
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

SHORTEST_MASKED = 4
MASK = "***"
LONGEST_ERROR = 200
FEW_MESSAGES = 2
# Bounds an error's causes, contexts and members, which may be endless.
MOST_ERRORS = 50
SHORTEST_UUID = 32  # without its hyphens
DATE_LENGTHS = range(7, 11)  # 2024W01 to 2024-01-01
FIRST_YEAR = 1970  # small numbers would read as instants of that year
_SAME_EVERYWHERE = re.compile(r"[A-Za-z0-9_.~-]+")
_SMALL_HEX = re.compile(r"\\u([0-9a-f]{4})")
# They identify an event, not a person; without them an error could not be traced.
PLAIN_FIELDS = ("id", "type", "tenantId", "applicationId", "createInstant")


class Masker:
    """Masks the values of one event, in every spelling that a message may have."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event
        self._messages = 0

    def mask(self, text: str) -> str:
        if len(text) < SHORTEST_MASKED:
            return text
        for spelling in self._spellings_within(len(text)):
            text = text.replace(spelling, MASK)
        return text

    @cached_property
    def _known(self) -> list[str]:
        """The event's values, the longest first."""
        found = {
            value
            for name, field in self._event.items()
            if name not in PLAIN_FIELDS
            for value in _values(field)
            if len(value) >= SHORTEST_MASKED
        }
        return sorted(found, key=len, reverse=True)

    @cached_property
    def _all_spellings(self) -> list[str]:
        return _ordered(self._known)

    def _spellings_within(self, length: int) -> list[str]:
        """The spellings to look for in a message of this length: none is shorter than its value.

        For the first few messages it pays to leave longer values out; a traceback has many messages, for which all
        spellings are made once.
        """
        self._messages += 1
        if self._messages > FEW_MESSAGES or not self._known or length >= len(self._known[0]):
            return self._all_spellings
        return _ordered(value for value in self._known if len(value) <= length)

    def error(self, exc: BaseException) -> str:
        """An error's type and message in one line, for lists."""
        text = self.mask(_words(exc)).replace("\n", " ")
        return f"{type(exc).__name__}: {text}"[:LONGEST_ERROR] if text else type(exc).__name__

    def traceback_of(self, exc: BaseException) -> str:
        return "".join(self._format(traceback.TracebackException.from_exception(exc, limit=-50)))

    def _format(self, newest: traceback.TracebackException) -> Iterator[str]:
        """Formats an error after its causes. Without recursion: causes and groups may be very deep."""
        waiting: list[traceback.TracebackException | str] = [newest]
        errors = 0
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                yield part
                continue
            errors += 1
            waiting += reversed(self._parts(part)) if errors <= MOST_ERRORS else ["(more of them left out)\n"]

    def _parts(self, error: traceback.TracebackException) -> list[traceback.TracebackException | str]:
        parts: list[traceback.TracebackException | str] = []
        if error.__cause__ is not None:
            parts += [error.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"]
        elif error.__context__ is not None and not error.__suppress_context__:
            parts += [error.__context__, "\nDuring handling of the above exception, another exception occurred:\n\n"]
        parts.append("Traceback (most recent call last):\n")
        parts += error.stack.format()  # file names and source lines have no data
        # All lines together: a value may have several.
        parts.append(self.mask("".join(error.format_exception_only())))
        return [*parts, *(error.exceptions or ())]


def _ordered(values: Iterable[str]) -> list[str]:
    return sorted({spelling for value in values for spelling in _spellings(value)}, key=len, reverse=True)


def _values(field: Any) -> Iterator[str]:
    waiting = [field]  # no recursion: a body may be nested very deeply
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif not isinstance(value, bool) and value is not None:
            text = str(value)
            yield text
            if "\n" in text:
                yield from text.splitlines()  # a SyntaxError quotes one line of what was compiled
            yield from _typed_spellings(value)


def _typed_spellings(value: Any) -> Iterator[str]:
    """The spellings of a value that the models turn into an instant, a day or an id."""
    if isinstance(value, str):
        if len(value) >= SHORTEST_UUID:
            with contextlib.suppress(ValueError):
                yield str(UUID(value))
        if len(value) in DATE_LENGTHS:
            with contextlib.suppress(ValueError):
                yield repr(date.fromisoformat(value)).partition("(")[2]
        return
    with contextlib.suppress(ValueError, OverflowError, OSError):
        instant = datetime.fromtimestamp(int(value) / 1000, UTC).replace(tzinfo=None)
        if instant.year > FIRST_YEAR:
            yield str(instant)
            yield instant.isoformat()
            yield repr(instant).partition("(")[2].rstrip(")")


def one_line(words: str) -> str:
    """Makes text safe for the store, a log and a terminal: no control characters, no lone surrogates from JSON."""
    words = words.encode("utf-8", "replace").decode()
    return "".join(" " if unicodedata.category(each) == "Cc" else each for each in words)


def _words(exc: BaseException) -> str:
    try:
        return str(exc)
    except BaseException:  # noqa: BLE001 - the user's class: a broken __str__ must not lose the attempt's record
        return "(its message cannot be shown)"


def _spellings(value: str) -> Iterator[str]:
    """A value as it is, in JSON, either of them in Python's repr of a string or bytes, and in a URL."""
    if _SAME_EVERYWHERE.fullmatch(value):  # most values are, and a large event has 100,000
        yield value
        return
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    # Some JSON encoders escape "/" too, or write hexadecimal digits in upper case.
    in_json |= {each.replace("/", "\\/") for each in in_json}
    in_json |= {_SMALL_HEX.sub(lambda escape: "\\u" + escape[1].upper(), each) for each in in_json}
    for each in {value, *in_json}:
        yield each
        yield from _shown(each)
        yield from _shown(each.encode("utf-8", "replace"))
    encodable = value.encode("utf-8", "replace").decode()
    yield quote(encodable)
    yield quote(encodable, safe="")
    yield quote_plus(encodable)


def _shown(value: str | bytes) -> Iterator[str]:
    """The repr of a value alone, and inside a longer string that has quotes of both kinds."""
    start = 2 if isinstance(value, bytes) else 1
    yield repr(value)[start:-1]
    both = repr(value + b"\"'") if isinstance(value, bytes) else repr(value + "\"'")
    yield both[start:-4]
