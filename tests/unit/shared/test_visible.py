"""Every character that a terminal obeys or hides is written out."""

import json
import unicodedata

import pytest

from surehook.shared.visible import visible, visible_document, visible_json, visible_line

OBEYED = [
    chr(code)
    for code in range(0x110000)
    if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp")
    or unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc", "a\\r\nb\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("Göteborg 山田 👩\u200d👧 [red]x[/red]", "Göteborg 山田 👩\u200d👧 [red]x[/red]"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_no_obeyed_character_is_left_anywhere() -> None:
    text = "".join(OBEYED)

    assert set(visible(text)) & set(OBEYED) == {"\n", "\t"}
    assert set(visible_line(text)) & set(OBEYED) == set()
    assert set(visible_json(text)) & set(OBEYED) == set()
    assert set(visible_document(text)) & set(OBEYED) == {"\n", "\t"}


def test_json_keeps_its_meaning() -> None:
    document = {"a": "".join(each for each in OBEYED if each < "\ud801") + "\U000e0041 é"}

    assert json.loads(visible_json(document)) == document
    assert json.loads(visible_document(json.dumps(document))) == document
    assert json.loads(visible_document('{"a": "\x7f\u202e\U000e0041"}')) == {"a": "\x7f\u202e\U000e0041"}
