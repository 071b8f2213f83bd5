"""Tells failures apart: two with the same fingerprint failed in the same way.

The fingerprint is made of the error's type, its masked message without what differs from event to event, and the
innermost frame of the user's code. Line numbers are not part of it, so it survives an unrelated change of the file.
"""

import re
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

from surehook.shared.tracebacks import FRAME, is_library

FINGERPRINT_LENGTH = 20
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=: |$)")
_LAST_SECTION = "Traceback (most recent call last):"
_FUNCTION = re.compile(r"line \d+, in (.*)$", re.MULTILINE)
_ANY = "…"
# In this order. A name in quotes (`no attribute 'email'`) says what is wrong, other quoted text what it is about.
_VARIABLE = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?<=\?)\S+(?=\s|$)"),
    re.compile(r"(?<=')(?![A-Za-z_.]+')[^']+(?=')"),
    re.compile(r'(?<=")(?![A-Za-z_.]+")[^"]+(?=")'),
    # UUIDs and hardware addresses, whose parts may have letters alone.
    re.compile(r"\b[0-9A-Fa-f]{2,}(?:[-:][0-9A-Fa-f]{2,}){2,}\b"),
    re.compile(r"\b(?![45]\d\d\b)\w*\d\w*"),  # but not the status of an HTTP response
    re.compile(rf"{_ANY}(?:[-:.,+/]*{_ANY})+"),
)


class Failure(NamedTuple):
    """A way in which a handler fails."""

    fingerprint: str
    error: str
    """The type and the message, without what differs from event to event."""
    frame: str
    """The file and the function in which it was raised, or ""."""

    def packed(self, code: str = "") -> str:
        """The scripts' argument for it. `code`: the fingerprint of the handler's source, "" if it is not known."""
        return f"{self.fingerprint}\n{code}\n{self.frame}\n{self.error}"


def failure_of(line: str, traceback: str) -> Failure:
    """Reads a masked error: its line, and its traceback if it has one."""
    error, frame = _normalised(line), _frame(traceback)
    digest = sha1(f"{error}\n{frame}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
    return Failure(digest[:FINGERPRINT_LENGTH], error, frame)


def error_type_of(line: str) -> str:
    """The type of an error, or "" if its line begins with none."""
    name = _TYPE.match(line)
    return name[0] if name else ""


def _normalised(line: str) -> str:
    line = " ".join(line.split())
    name = _TYPE.match(line)
    kept, message = (name[0], line[name.end() :]) if name else ("", line)
    for pattern in _VARIABLE:
        message = pattern.sub(_ANY, message)
    return kept + message


def _frame(traceback: str) -> str:
    """The innermost frame outside of libraries.

    Without one it is the outermost, which is the handler's: it may be in an installed package.
    """
    section = traceback[max(0, traceback.rfind(_LAST_SECTION)) :]
    frames = [(found[1], line) for line in section.splitlines() if (found := FRAME.match(line))]
    if not frames:
        return ""
    users = [frame for frame in frames if not is_library(frame[0])]
    file, line = users[-1] if users else frames[0]
    function = _FUNCTION.search(line)
    return " ".join(f"{Path(file).name}, {function[1] if function else ''}".split()).rstrip(", ")
