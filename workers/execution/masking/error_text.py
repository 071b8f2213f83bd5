"""Turns a raised exception into text, which calls the user's code, and then masks that, which does not."""

import re
import traceback
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from surehook.shared.tracebacks import bounded as bounded_traceback
from surehook.shared.tracebacks import is_ours, shows_values
from surehook.workers.execution.masking.masker import Masker

LONGEST_LINE = 200
# Characters that are masked for a line, and for all messages of a traceback together.
LONGEST_MESSAGE = 2_000
LONGEST_MESSAGES = 65_536
# Bounds an error's causes, contexts and members, which may be endless.
MOST_ERRORS = 50
MOST_FRAMES = 50
# As Python itself reads them: a user's class may have others.
_CAUSE = BaseException.__dict__["__cause__"].__get__
_CONTEXT = BaseException.__dict__["__context__"].__get__
_MEMBERS = BaseExceptionGroup.__dict__["exceptions"].__get__
_CLASS = re.compile(r"[A-Za-z_][\w.<>]*(?=:|\n|$)")


class Part(NamedTuple):
    """A part of a traceback: a message, or code."""

    text: str
    is_message: bool


class ErrorText(NamedTuple):
    """An error that has not been masked."""

    type_name: str
    message: str
    traceback: tuple[Part, ...] = ()


class MaskedError(NamedTuple):
    """An error that may be stored: in one line, for lists, and as a traceback."""

    line: str
    traceback: str
    shown: str = ""
    """The traceback for the terminal of `surehook dev`: with the event's values, if its user has asked for them."""


NO_ERROR = MaskedError("", "")


def error_text(exc: BaseException) -> ErrorText:
    """Reads an exception with its traceback. Calls methods of the user's classes, which may fail or never return."""
    return ErrorText(type(exc).__name__, message_of(exc), tuple(_traceback_of(exc)))


def message_of(exc: BaseException) -> str:
    try:
        return bounded(str(exc), LONGEST_MESSAGE)
    except BaseException:  # noqa: BLE001 - the user's class: a broken __str__ must not lose the attempt's record
        return "(its message cannot be shown)"


def release_frames(exc: BaseException) -> None:
    """Takes the frames from an error that has been read, and from those behind it.

    They refer to the error again, through variables. So the event, which they refer to as well, would stay in memory
    until garbage is collected, which is rare.
    """
    waiting: list[BaseException | None] = [exc]
    for _ in range(MOST_ERRORS):
        if not waiting:
            return
        error = waiting.pop()
        if error is None:
            continue
        BaseException.with_traceback(error, None)  # not the methods of a user's class
        waiting += [_CAUSE(error), _CONTEXT(error)]
        if isinstance(error, BaseExceptionGroup):
            waiting += _MEMBERS(error)


def mask_error(error: ErrorText, event: dict[str, Any]) -> MaskedError:
    messages = [part.text for part in error.traceback if part.is_message]
    line, *masked = Masker(event).mask_all([error.message, *messages])
    remaining = iter(masked)
    parts = [next(remaining) if part.is_message else part.text for part in error.traceback]
    traceback = bounded_traceback("".join(parts))
    plain = bounded_traceback("".join(part.text for part in error.traceback)) if shows_values() else traceback
    return MaskedError(line_of(error.type_name, line), traceback, plain)


def line_of(type_name: str, masked_message: str) -> str:
    """An error's type and message in one line."""
    text = one_line(masked_message)
    return f"{type_name}: {text}"[:LONGEST_LINE] if text else type_name


def one_line(text: str) -> str:
    """Makes text safe for the store, a log and a terminal: no control characters, no lone surrogates from JSON."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(" " if unicodedata.category(each) == "Cc" else each for each in text)


def bounded(text: str, length: int) -> str:
    """Cuts a text. The dots say so, to a reader and to the masking, which knows values that end in dots."""
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length} characters left out)"


def _traceback_of(exc: BaseException) -> Iterator[Part]:
    """Formats an error after its causes. Without recursion: causes and groups may be very deep."""
    waiting: list[traceback.TracebackException | Part] = [
        traceback.TracebackException.from_exception(exc, limit=-MOST_FRAMES)
    ]
    errors = characters = 0
    while waiting:
        part = waiting.pop()
        if isinstance(part, Part):
            if part.is_message:
                part = Part(bounded(part.text, max(0, LONGEST_MESSAGES - characters)), is_message=True)
                characters += len(part.text)
            yield part
            continue
        errors += 1
        if errors <= MOST_ERRORS:
            waiting += reversed(list(_parts(part)))
        else:
            waiting.append(Part("(more of them left out)\n", is_message=False))


def _parts(error: traceback.TracebackException) -> Iterator[traceback.TracebackException | Part]:
    if error.__cause__ is not None:
        yield error.__cause__
        yield Part("\nThe above exception was the direct cause of the following exception:\n\n", is_message=False)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__
        yield Part("\nDuring handling of the above exception, another exception occurred:\n\n", is_message=False)
    frames = traceback.StackSummary.from_list([frame for frame in error.stack if not is_ours(frame.filename)])
    yield Part("Traceback (most recent call last):\n", is_message=False)
    # Files and their lines are code. A name that is no file's may come from an event, and its lines too.
    is_code = all(Path(frame.filename).is_absolute() for frame in frames)
    yield Part("".join(frames.format()), is_message=not is_code)
    # All lines together: a value may have several.
    message = "".join(error.format_exception_only())
    name = _CLASS.match(message)
    end = name.end() if name else 0
    yield Part(message[:end], is_message=False)
    yield Part(message[end:], is_message=True)
    yield from error.exceptions or ()
