"""A large body is read step by step, with the same result as a small one, which is parsed at once."""

import asyncio
import json
from typing import Any, Literal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.events import TENANT_ID, USER_ID, an_event
from surehook.ingest import large_body
from surehook.ingest.large_body import parse_large_envelope
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import MalformedBody

MEGABYTE = 1024 * 1024
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
KEYS = ("type", "id", "tenantId", "userId", "applicationId", "applicationIds", "user", "data")
IDS = st.sampled_from((USER_ID, TENANT_ID.upper(), "no id"))
USERS = st.fixed_dictionaries(
    {
        "id": IDS,
        "data": VALUES,
        "registrations": st.lists(VALUES | st.fixed_dictionaries({"applicationId": IDS}), max_size=3),
    }
)
MEMBERS = st.tuples(st.sampled_from(KEYS), VALUES | IDS | USERS)
STYLES = st.sampled_from([{"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}, {}])


class RecordingLock(asyncio.Lock):
    """Knows which task took each step."""

    def __init__(self) -> None:
        super().__init__()
        self.takers: list[str] = []

    async def acquire(self) -> Literal[True]:
        is_taken = await super().acquire()
        task = asyncio.current_task()
        assert task is not None
        self.takers.append(task.get_name())
        return is_taken


LONG = (
    ("long", b'"%b"' % (b"x" * 200_000)),
    ("long escaped", b'"%b"' % (b"\\\\" * 100_000)),
    ("long mixed", b'"%b"' % ((b"x" * 700 + b"\\u0041") * 300)),
)


async def read(body: bytes) -> Envelope:
    return await parse_large_envelope(body, asyncio.Lock())


def steps_of(body: bytes) -> Envelope | str:
    try:
        return asyncio.run(read(body))
    except MalformedBody:
        return "malformed"


def at_once(body: bytes) -> Envelope | str:
    try:
        return parse_envelope(body)
    except MalformedBody:
        return "malformed"


def an_object(members: list[tuple[str, Any]], style: dict[str, Any]) -> str:
    """An object whose keys may stand twice."""
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value, **style)}" for key, value in members) + "}"


@given(st.lists(MEMBERS, max_size=6), STYLES)
def test_an_event_has_the_same_envelope_either_way(members: list[tuple[str, Any]], style: dict[str, Any]) -> None:
    members.insert(0, ("type", "user.create"))
    body = f' {{"x": [1, {{}}], "event" :{an_object(members, style)}}}\n'.encode()

    assert steps_of(body) == at_once(body)


@given(st.lists(MEMBERS, max_size=3), st.data())
def test_damaged_json_is_refused_either_way(members: list[tuple[str, Any]], data: st.DataObject) -> None:
    whole = f'{{"event": {an_object([("type", "test"), *members], {})}}}'.encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(
        st.sampled_from([b"", b'"', b"\\", b",", b"[", b"}", b"0", b"-", b".", b"e", b"\x00", b"\xff", b" "])
    )
    body = whole[:place] + change + whole[place + 1 :]

    assert steps_of(body) == at_once(body)


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param(b"[1,]", id="a comma too many"),
        pytest.param(b"[,1]", id="a comma first"),
        pytest.param(b'{"a" 1}', id="no colon"),
        pytest.param(b'{"a":1,}', id="a comma behind a member"),
        pytest.param(b"{1:2}", id="a key that is a number"),
        pytest.param(b"01", id="a leading zero"),
        pytest.param(b"1.", id="no fraction"),
        pytest.param(b".5", id="no whole part"),
        pytest.param(b"+1", id="a plus"),
        pytest.param(b"1e", id="no exponent"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-Infinity", id="Infinity"),
        pytest.param(b"True", id="Python's True"),
        pytest.param(b'"\n"', id="a line break in a string"),
        pytest.param(b'"\\x"', id="an unknown escape"),
        pytest.param(b'"\\u12G4"', id="no hexadecimal digits"),
        pytest.param(b'"\xc3"', id="half a character"),
        pytest.param(b'"\xed\xa0\x80"', id="a surrogate in UTF-8"),
        pytest.param(b"[[1}]", id="the wrong bracket"),
        pytest.param(b"[[[[[[1]]]]]", id="a bracket too few"),
        pytest.param(b"[[[[[[1]]]]]]]", id="a bracket too many"),
        pytest.param(b"[" * 1000 + b"]" * 1000, id="too deep"),
        pytest.param(b'{"a":' * 1000 + b"1" + b"}" * 1000, id="objects too deep"),
        pytest.param(b"[1] 2", id="two values"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"'a'", id="single quotes"),
        pytest.param(b"[1]/**/", id="a comment"),
        *(pytest.param(s[:-1], id=f"a {name} string without an end") for name, s in LONG),
        *(pytest.param(s[:-1] + b'\n"', id=f"a line break in a {name} string") for name, s in LONG),
        *(pytest.param(s[:-1] + b'\\x"', id=f"an unknown escape in a {name} string") for name, s in LONG),
        *(pytest.param(b'{"a":1,%b}' % s, id=f"a {name} key without a value") for name, s in LONG),
    ],
)
def test_what_is_no_json_is_refused(inside: bytes) -> None:
    body = b'{"event": {"type": "test", "x": %b}}' % inside

    assert steps_of(body) == at_once(body) == "malformed"


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param(b'"\\ud800"', id="a lone surrogate"),
        pytest.param(b"9" * 5000, id="a long number"),
        pytest.param(b"-0.0e-0", id="a strange zero"),
        pytest.param(b"1e400", id="beyond double"),
        pytest.param(b"[" * 400 + b"]" * 400, id="deep lists"),
        pytest.param(b'{"a":[' * 200 + b"{}" + b"]}" * 200, id="deep objects"),
        pytest.param(b"[ ]", id="an empty list with a blank"),
        pytest.param(b"[[],[[]],{},[{}]]", id="empty ones"),
        pytest.param(b'{"":{"":[]}}', id="empty keys"),
        *(pytest.param(b'{"a": [%b, 1, [%b], {"b" : %b }]}' % (s, s, s), id=f"{name} string") for name, s in LONG),
        *(pytest.param(b'{%b: 1, "a": [{%b :%b, %b:{}}]}' % (s, s, s, s), id=f"{name} key") for name, s in LONG),
        pytest.param(b"[" + b"1, " * 5000 + b'{"a": [' + b'{"b":[[[[[1]]]]]},' * 3000 + b"2]}]", id="long and nested"),
    ],
)
def test_odd_json_is_accepted(inside: bytes) -> None:
    body = b'{"event": {"type": "test", "\\u0069d": "%b", "x": %b}}' % (str(uuid4()).encode(), inside)

    envelope = steps_of(body)

    assert isinstance(envelope, Envelope)
    assert envelope == at_once(body)


def test_many_ids_are_refused_because_parsing_them_would_take_long() -> None:
    body = json.dumps({"event": an_event(applicationIds=["x" * 36] * 20_000)}).encode()

    with pytest.raises(MalformedBody, match="ids"):
        asyncio.run(read(body))


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"[],", id="empty lists"),
        pytest.param(b"[" * 199 + b"]" * 199 + b",", id="deep lists"),
        pytest.param(b'{"a":1},', id="small objects"),
        pytest.param(b'"\\ud800",', id="lone surrogates"),
        pytest.param(b"1,", id="small numbers"),
        pytest.param(b'"%b",' % (b"x" * MEGABYTE), id="a long string"),
        pytest.param(b'"%b",' % (b"\\\\" * (MEGABYTE // 2)), id="a long string of escapes"),
        pytest.param(b'{"%b":1},' % (b"\\\\" * (MEGABYTE // 2)), id="a long key"),
    ],
)
def test_the_event_loop_turns_often_while_a_body_is_read(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_body, "STEP_SECONDS", 0.0)
    body = b'{"event": {"type": "test", "x": [%b0]}}' % (unit * max(1, MEGABYTE // len(unit)))

    turn = RecordingLock()
    asyncio.run(parse_large_envelope(body, turn))

    assert len(turn.takers) > 20


def test_a_body_does_not_wait_for_the_end_of_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_body, "STEP_SECONDS", 0.0)
    larger = b'{"event": {"type": "test", "x": [%b0]}}' % (b"[]," * 300_000)
    smaller = b'{"event": {"type": "test", "x": [%b0]}}' % (b"[]," * 25_000)
    turn = RecordingLock()

    async def read_both() -> None:
        before = asyncio.create_task(parse_large_envelope(larger, turn), name="larger")
        await asyncio.sleep(0)
        await asyncio.gather(before, asyncio.create_task(parse_large_envelope(smaller, turn), name="smaller"))

    asyncio.run(read_both())

    steps_in_between = turn.takers.index("smaller"), len(turn.takers) - turn.takers[::-1].index("smaller")
    assert turn.takers[slice(*steps_in_between)].count("larger") <= turn.takers.count("smaller")
    assert turn.takers[-1] == "larger"


def test_empty_registrations_among_others_change_nothing() -> None:
    registrations = [{}, {"applicationId": TENANT_ID}, 0, [], {"applicationId": USER_ID}, {}]
    body = json.dumps({"event": {"type": "test", "user": {"registrations": registrations}}}).encode()

    assert steps_of(body) == at_once(body)
