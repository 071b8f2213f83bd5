"""Tracebacks as text: bounded and packed for the store, coloured for a terminal."""

import base64
import os
import re
import sys
import sysconfig
import zlib
from pathlib import Path

from surehook.shared.visible import visible

# Set by `surehook dev` for its workers.
VARIABLE = "_SUREHOOK_TRACEBACKS"
MASKED, UNMASKED = "masked", "unmasked"
# A longer text keeps its beginning and, as that says what was raised, most of its end.
LONGEST, BEGINNING = 32_768, 8_192
# RQ's own workers may have written a longer one.
LONGEST_UNPACKED_BYTES = 1024 * 1024
LEFT_OUT = "\n… (the rest is left out)\n"
UNREADABLE = "(the traceback cannot be read: it is not in RQ's format)\n"
_LIBRARIES = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = f"{Path(__file__).parents[1]}/"
FRAME = re.compile(r'^\s*[|+]?\s*File "(.*)", line \d+')
_BOLD, _DIM, _RED, _END = "\x1b[1;36m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


class _Display:
    """Says if this process shows the event's values in tracebacks."""

    shows_values = False


_display = _Display()


def take_display() -> bool:
    """Reads how `surehook dev` wants tracebacks shown; says whether at all. Programs of handlers inherit nothing."""
    wanted = os.environ.pop(VARIABLE, "")
    _display.shows_values = wanted == UNMASKED and sys.stderr.isatty()
    return wanted in (MASKED, UNMASKED)


def shows_values() -> bool:
    return _display.shows_values


def is_ours(file: str) -> bool:
    """Says whether a frame of this file is Surehook's own: it calls the user's code, and explains nothing."""
    return file.startswith(_OURS)


def is_library(file: str) -> bool:
    """Says whether a frame of this file is not the user's code."""
    return file.startswith(_LIBRARIES) or not file.startswith("/")


def bounded(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    end = len(text) - (LONGEST - BEGINNING)
    return f"{text[:BEGINNING]}\n… ({end - BEGINNING} characters left out)\n{text[end:]}"


def packed(text: str) -> str:
    """The text in RQ's format: zlib, then base64."""
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"))).decode()


def unpacked(text: str | bytes) -> str:
    """Reads a packed text up to a bound: every client of the store can write a few bytes that unpack to gigabytes."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(base64.b64decode(text, validate=True), LONGEST_UNPACKED_BYTES)
    except (ValueError, zlib.error):
        return UNREADABLE
    return found.decode("utf-8", "replace") + ("" if unpacking.eof else LEFT_OUT)


def coloured(text: str) -> str:
    """For a terminal: frames of the user's code in colour, those of libraries dim, and what was raised in red."""
    shown: list[str] = []
    style = ""
    for line in visible(text).splitlines():
        frame = FRAME.match(line)
        if frame:
            style = _DIM if is_library(frame[1]) else _BOLD
        elif line and not line[0].isspace():  # a heading, or the error itself
            style = "" if line.endswith(":") and " " in line else _RED
        shown.append(f"{style}{line}{_END}" if style and line else line)
    return "\n".join(shown)
