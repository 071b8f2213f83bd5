"""However a library shows the values of an event, a masked text does not."""

import base64
import email.header
import html
import json
import logging
import pprint
import quopri
import re
import reprlib
import shlex
import textwrap
import unicodedata
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from surehook.workers.execution.masking.masker import Masker

# Letters that the texts around the values do not have in this order, and what the escapes of all those formats change.
WORDS = st.text("qjzxkwväéßøžЖйשع山", min_size=4, max_size=12).filter(lambda word: not word.isspace())
SEPARATORS = st.sampled_from(
    [" ", "  ", "\n", "'", '"', "\\", "/", "&", "<", "%", "+", "@", ".", "-", "_", "=", "\t", ", "]
)


@st.composite
def values(draw: st.DrawFn) -> str:
    words = draw(st.lists(WORDS, min_size=1, max_size=6))
    return "".join(word + draw(SEPARATORS) for word in words[:-1]) + words[-1]


@dataclass
class Row:
    email: str
    age: int = 5


class Checked(BaseModel):
    count: int
    email: str = ""


def by_pydantic(value: str) -> str:
    try:
        Checked.model_validate({"count": {"of": [value], "more": "n" * 40}, "email": 5})
    except ValidationError as exc:
        return str(exc)
    raise AssertionError


def by_pydantic_alone(value: str) -> str:
    try:
        Checked.model_validate({"count": value})
    except ValidationError as exc:
        return str(exc)
    raise AssertionError


def by_logging(value: str) -> str:
    return logging.LogRecord("n", 20, "p", 1, "no row for %r", (value,), None).getMessage()


def in_json(value: Any, **options: Any) -> str:
    return json.dumps({"m": value}, **options)


def by_html_in_json_for_scripts(value: str) -> str:
    """As Go's encoder and Jinja's tojson write it."""
    text = in_json(html.escape(value))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace("'", "\\u0027")


RENDERINGS: list[Callable[[str], str]] = [
    str,
    repr,
    ascii,
    in_json,
    lambda value: in_json(value, ensure_ascii=False),
    lambda value: in_json(in_json(value)),
    lambda value: in_json(in_json(in_json(value, ensure_ascii=False))),
    lambda value: repr(in_json(value)),
    lambda value: repr(repr(value)),
    lambda value: repr(value.encode()),
    lambda value: repr(in_json(value).encode()),
    lambda value: repr({"e": [value, value.encode()]}),
    lambda value: repr(Row(value)),
    lambda value: str(KeyError(value)),
    lambda value: str(OSError(2, "no file", value)),
    lambda value: f"{value!r:>60}",
    lambda value: f"\x1b[31m{value}\x1b[0m",
    lambda value: repr(f"\x1b[31m{value}\x1b[0m"),
    lambda value: str(httpx.URL("https://h.test/", params={"q": value})),
    lambda value: str(httpx.URL(f"https://h.test/{urllib.parse.quote(value, safe='')}/x")),
    urllib.parse.quote,
    lambda value: urllib.parse.quote(value, safe=""),
    urllib.parse.quote_plus,
    lambda value: urllib.parse.quote(urllib.parse.quote(value)),
    lambda value: urllib.parse.urlencode({"n": in_json(value)}),
    html.escape,
    lambda value: html.escape(html.escape(value)),
    lambda value: html.escape(in_json(value)),
    lambda value: value.encode("ascii", "xmlcharrefreplace").decode(),
    lambda value: value.encode("ascii", "backslashreplace").decode(),
    by_html_in_json_for_scripts,
    shlex.quote,
    lambda value: shlex.join(["mail", "-s", value]),
    lambda value: textwrap.fill(f"the words {value} and more", 20),
    lambda value: textwrap.fill(f"the words {value} and more", 7),
    lambda value: repr(textwrap.fill(value, 9)),
    lambda value: pprint.pformat({"e": value, "list": [value] * 2}, width=20),
    lambda value: pprint.pformat({"e": value.encode()}, width=12),
    lambda value: pprint.pformat(json.loads(in_json(value)), width=1),
    lambda value: reprlib.repr({"e": value}),
    reprlib.repr,
    by_pydantic,
    by_pydantic_alone,
    by_logging,
    lambda value: unicodedata.normalize("NFD", value),
    lambda value: unicodedata.normalize("NFC", value),
    lambda value: unicodedata.normalize("NFKC", value),
    lambda value: base64.b64encode(value.encode()).decode(),
    lambda value: base64.urlsafe_b64encode(f"user:{value}".encode()).decode().rstrip("="),
    lambda value: "Basic " + base64.b64encode(f"{value}:pass".encode()).decode(),
    lambda value: base64.b64encode(in_json(value).encode()).decode(),
    lambda value: base64.encodebytes(f"{'y' * 30} {value} {'y' * 30}".encode()).decode(),
    lambda value: value.encode().hex(),
    lambda value: f"\\x{value.encode().hex()}",
    lambda value: quopri.encodestring(value.encode()).decode(),
    lambda value: email.header.Header(value.replace("\n", " "), "utf-8").encode(),
    lambda value: value.upper(),
    lambda value: f"LIKE '%{value}%'",
    lambda value: f"user_{value}_1",
]


def readable(text: str) -> set[str]:
    """Every four letters of the values' alphabet that stand together, in any of the ways that a reader could undo."""
    candidates = [text, html.unescape(text), urllib.parse.unquote_plus(text)]
    candidates += [re.sub(r"\\u([0-9a-f]{4})", lambda escape: chr(int(escape[1], 16)), each) for each in candidates]
    return {four for each in candidates for four in re.findall(r"(?i)(?=([qjzxkwväéßøžжйשع山]{4}))", each)}


@pytest.mark.parametrize("render", RENDERINGS, ids=range(len(RENDERINGS)))
@given(value=values())
@settings(max_examples=8, deadline=None)
def test_a_value_is_masked_however_it_is_shown(render: Callable[[str], str], value: str) -> None:
    shown = render(value)

    masked = Masker({"user": {"data": {"some": value}}}).mask(f"error for <{shown}> of it")

    assert readable(masked) == set(), (shown, masked)
    assert masked.startswith("error for")
    assert masked.endswith("of it")
