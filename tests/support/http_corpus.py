"""The cases of `tests/corpus/http`, whose format its README describes."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from harness.events import a_body
from harness.stack import API_KEY

FOLDER = Path(__file__).parents[1] / "corpus" / "http"
REPEATED = re.compile(r"<(\d+) times ([^>]*)>")
MACROS = {
    "<GET>": "GET /healthz HTTP/1.1\r\nHost: surehook\r\n",
    "<POST>": "POST /fusionauth-webhook HTTP/1.1\r\nHost: surehook\r\nAuthorization: <KEY>\r\n"
    "Content-Type: application/json\r\n",
    "<KEY>": API_KEY,
}
EVENTS = re.compile(rb"<SIZE>|<HEX>|<EVENT>")


@dataclass(frozen=True)
class Case:
    """A request, or several, and one set of allowed statuses for each answer."""

    name: str
    answers: tuple[frozenset[int], ...]
    then: str
    text: bytes

    def sent(self) -> bytes:
        """Returns its bytes; every event in them is a new one."""
        return b"".join(map(_with_new_event, re.split(rb"(?<=<EVENT>)", self.text)))


def cases() -> list[Case]:
    texts = "\n\n".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.txt")))
    return [_case(text) for text in re.split(r"\n{2,}", texts) if text.startswith("case: ")]


def _case(text: str) -> Case:
    name, answers, then, *lines = text.splitlines()
    statuses = re.split(r" (?!or )(?<! or )", answers.removeprefix("answers: "))
    sent = codecs.decode("".join(lines), "unicode_escape")
    for macro, meaning in MACROS.items():
        sent = sent.replace(macro, meaning)
    sent = REPEATED.sub(lambda match: match[2] * int(match[1]), sent)
    return Case(
        name.removeprefix("case: "),
        tuple(frozenset(map(int, each.split(" or "))) for each in statuses),
        then.removeprefix("then: "),
        sent.encode("latin-1"),
    )


def _with_new_event(text: bytes) -> bytes:
    body = a_body()
    values = {b"<SIZE>": b"%d" % len(body), b"<HEX>": b"%x" % len(body), b"<EVENT>": body}
    return EVENTS.sub(lambda match: values[match[0]], text)
