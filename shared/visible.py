"""Makes text from outside safe to print: a terminal obeys control characters, and hides others."""

import json
import re

# Control characters (C0 without tab and line feed, DEL, C1), marks that reverse or hide text, line separators other
# than the line feed, and half surrogate pairs, which cannot be encoded.
_OBEYED = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_TEXT = re.compile(f"[{_OBEYED}]")
_IN_A_LINE = re.compile(rf"[{_OBEYED}\t\n]")
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    r"""Writes an escape character as `\x1b`, and so on. Line breaks and tabs stay."""
    return _IN_TEXT.sub(_escape, text)


def visible_line(text: str) -> str:
    r"""Writes line breaks and tabs as `\n` and `\t`, too: text from outside cannot forge a line."""
    return _IN_A_LINE.sub(_escape, text)


def visible_json(document: object) -> str:
    """Encodes as JSON in ASCII, without DEL, which JSON allows."""
    return json.dumps(document).replace("\x7f", "\\u007f")


def visible_document(text: str) -> str:
    """Makes JSON text safe to print. Its strings keep their values."""
    return _IN_TEXT.sub(_json_escape, text)


def _json_escape(match: "re.Match[str]") -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(match: "re.Match[str]") -> str:
    character = match[0]
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:  # noqa: PLR2004 - the longest that \x can write
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the longest that \u can write
