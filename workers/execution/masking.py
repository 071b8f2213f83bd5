"""Tracebacks to keep: frames as they are, but no value of the event's own in their messages."""

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
# Of an error with its causes, contexts and members; nobody reads more, and they may be without end.
MOST_ERRORS = 50
SHORTEST_UUID = 32  # without its hyphens
DATE_LENGTHS = range(7, 11)  # 2024W01 to 2024-01-01
FIRST_YEAR = 1970  # as milliseconds, a small number is an instant of that year
_SAME_EVERYWHERE = re.compile(r"[A-Za-z0-9_.~-]+")
_SMALL_HEX = re.compile(r"\\u([0-9a-f]{4})")
# What names an event and not a person: without these nobody could find anything.
PLAIN_FIELDS = ("id", "type", "tenantId", "applicationId", "createInstant")


class Masker:
    """Knows the values of one event, in the spellings in which they may stand in a message."""

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
        """Most messages are short and most values cannot stand in them: no spelling is shorter than its value.

        For the few messages of a veto it pays to leave those out; a traceback has many, for which all are made once.
        """
        self._messages += 1
        if self._messages > FEW_MESSAGES or not self._known or length >= len(self._known[0]):
            return self._all_spellings
        return _ordered(value for value in self._known if len(value) <= length)

    def error(self, exc: BaseException) -> str:
        """Type and message in one line, for lists."""
        text = self.mask(_words(exc)).replace("\n", " ")
        return f"{type(exc).__name__}: {text}"[:LONGEST_ERROR] if text else type(exc).__name__

    def traceback_of(self, exc: BaseException) -> str:
        return "".join(self._format(traceback.TracebackException.from_exception(exc, limit=-50)))

    def _format(self, newest: traceback.TracebackException) -> Iterator[str]:
        """What led to an error stands before it. No recursion: causes and groups may be as deep as memory."""
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
        parts += error.stack.format()  # file names and source lines: code, no data
        # All lines at once: a value may have several.
        parts.append(self.mask("".join(error.format_exception_only())))
        return [*parts, *(error.exceptions or ())]


def _ordered(values: Iterable[str]) -> list[str]:
    return sorted({spelling for value in values for spelling in _spellings(value)}, key=len, reverse=True)


def _values(field: Any) -> Iterator[str]:
    waiting = [field]  # no recursion: a body may be nested as deeply as Python reads it
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
    """How a value reads that the models made an instant, a day or an id of."""
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
    """Words that the store, a log and a terminal can take: half a surrogate pair, which JSON can hold, is no text."""
    words = words.encode("utf-8", "replace").decode()
    return "".join(" " if unicodedata.category(each) == "Cc" else each for each in words)


def _words(exc: BaseException) -> str:
    try:
        return str(exc)
    except BaseException:  # noqa: BLE001 - the user's class; what it cannot say must not cost the attempt's record
        return "(its message cannot be shown)"


def _spellings(value: str) -> Iterator[str]:
    """As it is, as JSON has it, and either of them as Python shows a string or bytes; and as a URL has it."""
    if _SAME_EVERYWHERE.fullmatch(value):  # most are, and a large event has 100,000
        yield value
        return
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    # Others escape "/" too, or write their hexadecimal digits large.
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
    """Inside quotes of its own, and inside those of something larger that has quotes of both kinds in it."""
    start = 2 if isinstance(value, bytes) else 1
    yield repr(value)[start:-1]
    both = repr(value + b"\"'") if isinstance(value, bytes) else repr(value + "\"'")
    yield both[start:-4]
