"""Tracebacks for the store and for a terminal."""

import base64
import json
import sys
import zlib

import pytest

from surehook.shared import tracebacks
from surehook.shared.tracebacks import (
    BEGINNING,
    LONGEST,
    LONGEST_UNPACKED_BYTES,
    UNREADABLE,
    bounded,
    coloured,
    packed,
    unpacked,
)

TEXT = f"""Traceback (most recent call last):
  File "/srv/myapp/hooks.py", line 3, in mirror
    json.loads(text)
    ~~~~~~~~~~^^^^^^
  File "{json.__file__}", line 346, in loads
    return _default_decoder.decode(s)
ValueError: \x1b[2J no JSON
"""


def test_a_text_survives_packing() -> None:
    for text in (TEXT, "", "\ud800 half a pair"):
        assert unpacked(packed(text)) == text.replace("\ud800", "?")


def test_a_text_that_unpacks_to_more_than_a_megabyte_is_cut_and_says_so() -> None:
    text = unpacked(packed("x" * LONGEST_UNPACKED_BYTES + "y"))

    assert text == "x" * LONGEST_UNPACKED_BYTES + "\n… (the rest is left out)\n"


def test_a_cut_in_the_middle_of_a_character_is_no_error() -> None:
    assert unpacked(packed("xé" * LONGEST_UNPACKED_BYTES)).endswith("\n… (the rest is left out)\n")


@pytest.mark.parametrize("stored", [b"no base64", b"!", base64.b64encode(b"no zlib"), b"\xff", "é"])
def test_what_is_no_packed_text_is_said(stored: str | bytes) -> None:
    assert unpacked(stored) == UNREADABLE


def test_a_text_that_breaks_off_is_read_up_to_there() -> None:
    assert unpacked(base64.b64encode(zlib.compress(b"Traceback")[:-4])).startswith("Traceback\n…")


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    long = "a" * LONGEST + "b" * LONGEST

    text = bounded(long)

    assert text.startswith("a" * BEGINNING)
    assert text.endswith("b" * (LONGEST - BEGINNING))
    assert f"({LONGEST} characters left out)" in text
    assert bounded(TEXT) == TEXT


def test_frames_of_the_users_code_stand_out_and_the_error_cannot_control_the_terminal() -> None:
    heading, place, code, carets, library, its_code, error = coloured(TEXT).splitlines()

    assert heading == "Traceback (most recent call last):"
    assert {line.partition("m")[0] for line in (place, code, carets)} == {"\x1b[1;36"}
    assert {line.partition("m")[0] for line in (library, its_code)} == {"\x1b[2"}
    assert error.startswith("\x1b[31mValueError: \\x1b[2J no JSON")


@pytest.mark.parametrize("wanted", ["masked", "unmasked", "", "anything"])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_values_are_shown_only_on_a_terminal_and_if_dev_says_so(
    wanted: str, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    monkeypatch.setenv(tracebacks.VARIABLE, wanted)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)

    shows_tracebacks = tracebacks.take_display()
    shows_values = tracebacks.shows_values()
    tracebacks.take_display()

    assert shows_tracebacks == (wanted in ("masked", "unmasked"))
    assert shows_values == (wanted == "unmasked" and is_terminal)
    assert not tracebacks.shows_values()
