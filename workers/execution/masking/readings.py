"""Readings of a text: as it is, and with the escapes of URLs, JSON, Python, HTML, mail, base64 and hex undone."""

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

MOST_LAYERS = 3  # JSON in HTML in a URL
SHORTEST_BLOB = 8


class Reading(NamedTuple):
    """A text, and for each of its characters the part of the original text that it was read from."""

    text: str
    begins: Sequence[int]
    ends: Sequence[int]


# A run of backslashes is read as one: JSON in JSON doubles them, and a repr of that again. Each pattern can match only
# at the start of such a run, as trying it at every backslash would take quadratic time.
_BACKSLASH = (
    r"(?P<octets>(?:(?<!\\)\\++(?:x[0-9a-fA-F]{2}|[0-3][0-7]{2}))+)"
    r"|(?P<utf16>(?:(?<!\\)\\++u[0-9a-fA-F]{4})+)"
    r"|(?P<code>(?<!\\)\\++(?:U[0-9a-fA-F]{8}|u\{[0-9a-fA-F]{1,6}\}))"
    r"|(?P<control>(?<!\\)\\++(?:[nrtfvab0]|e(?:\[[0-9;?]*[@-~])?)|\x1b\[[0-9;?]*[@-~])"
)
# Breaks inside a word: pprint's adjacent string literals, and those of quoted-printable texts and headers.
_BREAKS = re.compile(r"(?P<nothing>[\"'][ \t]*+\r?\n[ \t]*+[bBuU]?[\"']|=\r?\n|\?=\s{1,9}=\?[^?\s]{1,20}\?[qQ]\?)")
_PERCENT = r"(?P<percent>(?:%(?:25)*[0-9a-fA-F]{2})+)|(?P<percent_u>(?:%u[0-9a-fA-F]{4})+)"
_HTML = r"(?P<entity>&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
_QUOTED_PRINTABLE = r"(?P<quoted>(?:=[0-9A-F]{2})+)"
_LDAP = r"(?P<ldap>(?:\\[0-9a-fA-F]{2})+)"
# One kind of escape each, because text may look like another kind: LIKE '%Adam%'.
_FAMILIES = tuple(map(re.compile, (_BACKSLASH, _PERCENT, _HTML, _QUOTED_PRINTABLE, _LDAP)))
_LAYERED = re.compile(f"{_BACKSLASH}|{_PERCENT}|{_HTML}")
_OCTETS = re.compile(r"\\(?:x[0-9a-fA-F]|[0-3][0-7])")
_BLOBS = (
    re.compile(r"((?:[A-Za-z0-9+/]{60,76}\r?\n)*[A-Za-z0-9+/]{8,})"),
    re.compile(r"([A-Za-z0-9_-]{8,})"),
    re.compile(r"=\?[^?\s]{1,20}\?[bB]\?([A-Za-z0-9+/]{2,})=?=?\?="),
)
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0?x)?((?:[0-9a-fA-F]{2}){4,})(?![0-9A-Za-z])")
_TO_STANDARD_BASE64 = str.maketrans("-_", "+/", "\r\n=")
_DIGITS = re.compile(r"[0-9a-fA-F]{2}")
_UNITS = re.compile(r"[0-9a-fA-F]{4}")


def readings_of(text: str) -> Iterator[Reading]:
    plain = Reading(text, range(len(text)), range(1, len(text) + 1))
    yield from _readings_of(plain)
    unbroken = _undo(plain, _BREAKS)
    if unbroken is not plain:
        yield from _readings_of(unbroken)


def _readings_of(plain: Reading) -> Iterator[Reading]:
    yield plain
    single = [reading for family in _FAMILIES if (reading := _undo(plain, family)) is not plain]
    yield from single
    layered = plain
    for _ in range(MOST_LAYERS if single else 0):
        before, layered = layered, _undo(layered, _LAYERED)
        if layered is before:
            break
    if layered is not plain:
        yield layered
    for reading in (plain, layered) if layered is not plain else (plain,):
        blobs = _blobs(reading)
        if blobs.text:
            yield blobs
            if (undone := _undo(blobs, _LAYERED)) is not blobs:
                yield undone


def has_octets(text: str) -> bool:
    return _OCTETS.search(text) is not None


def undone_lines(lines: str, texts: Iterable[str]) -> Iterator[str]:
    """The lines with each kind of escape undone that the texts have: for values, one a line."""
    for pattern in _FAMILIES:
        if any(map(pattern.search, texts)):
            undone = pattern.sub(_meaning_in_a_line, lines)
            if undone != lines:
                yield undone
    for _ in range(MOST_LAYERS if any(map(_LAYERED.search, texts)) else 0):
        before, lines = lines, _LAYERED.sub(_meaning_in_a_line, lines)
        if lines == before:
            return
        yield lines


def _undo(reading: Reading, pattern: "re.Pattern[str]") -> Reading:
    """The reading with the pattern's escapes undone; the same object if it has none."""
    text, begins, ends = reading
    pieces: list[str] = []
    new_begins: list[int] = []
    new_ends: list[int] = []
    at = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        meaning = _meaning(match)
        pieces += text[at:start], meaning
        new_begins += begins[at:start]
        new_begins += [begins[start]] * len(meaning)
        new_ends += ends[at:start]
        new_ends += [ends[end - 1]] * len(meaning)
        at = end
    if not at:
        return reading
    pieces.append(text[at:])
    new_begins += begins[at:]
    new_ends += ends[at:]
    return Reading("".join(pieces), new_begins, new_ends)


def _meaning(match: "re.Match[str]") -> str:
    kind = match.lastgroup
    assert kind is not None  # noqa: S101 - every alternative is a named group
    return _MEANINGS[kind](match[0])


def _meaning_in_a_line(match: "re.Match[str]") -> str:
    return _meaning(match).replace("\n", " ")


def _octets(escapes: str) -> str:
    """Reads bytes as UTF-8, and those that are none as Latin-1, as the repr of a string writes them."""
    numbers = (each for each in escapes.split("\\") if each)
    octets = bytes(int(each[1:], 16) if each[0] == "x" else int(each, 8) for each in numbers)
    return _from_utf8(octets)


def _from_utf8(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _from_hex(escapes: str) -> str:
    """Reads the last two digits of each escape; `%2541` was escaped twice."""
    return _from_utf8(bytes.fromhex("".join(_DIGITS.findall(escapes))))


def _from_percents(escapes: str) -> str:
    return _from_hex(re.sub(r"%(?:25)*(?=[0-9a-fA-F]{2})", "", escapes))


def _from_utf16(escapes: str) -> str:
    units = "".join(_UNITS.findall(escapes))
    return bytes.fromhex(units).decode("utf-16-be", "replace")


def _from_code(escape: str) -> str:
    number = int(escape.lstrip("\\")[1:].strip("{}"), 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"  # noqa: PLR2004 - Unicode's limits


def _from_entity(escape: str) -> str:
    return html.unescape("&" + escape[1:].replace("amp;", "", escape.count("amp;") - (escape.endswith("&amp;"))))


def _nothing(_: str) -> str:
    return ""


def _control(escape: str) -> str:
    return "\n" if escape[0] == "\\" and escape[-1] in "nr" else " "


_MEANINGS: dict[str, Callable[[str], str]] = {
    "octets": _octets,
    "utf16": _from_utf16,
    "code": _from_code,
    "control": _control,
    "percent": _from_percents,
    "percent_u": _from_utf16,
    "entity": _from_entity,
    "quoted": _from_hex,
    "nothing": _nothing,
    "ldap": _from_hex,
}


def _blobs(reading: Reading) -> Reading:
    """All that is readable in base64 or hex. Each of its characters stands for its whole run."""
    text, begins, ends = reading
    pieces: list[str] = []
    new_begins: list[int] = []
    new_ends: list[int] = []
    for start, end, meaning in _decoded_runs(text):
        pieces.append(f"{meaning}\n \n")
        new_begins += [begins[start]] * (len(meaning) + 3)
        new_ends += [ends[end - 1]] * (len(meaning) + 3)
    return Reading("".join(pieces), new_begins, new_ends)


def _decoded_runs(text: str) -> Iterator[tuple[int, int, str]]:
    for pattern, decode in (*((blob, _from_base64) for blob in _BLOBS), (_HEX, bytes.fromhex)):
        for match in pattern.finditer(text):
            meaning = _readable(decode(match[1]))
            if meaning:
                yield *match.span(), meaning


def _from_base64(run: str) -> bytes:
    run = run.translate(_TO_STANDARD_BASE64)
    run = run[: len(run) - (len(run) % 4 == 1)]
    return base64.b64decode(run + "=" * (-len(run) % 4))


def _readable(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError as exc:
        # A run that was cut may end inside a character.
        return octets[: exc.start].decode() if exc.start >= max(SHORTEST_BLOB, len(octets) - 3) else ""
