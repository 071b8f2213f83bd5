"""Reads the envelope of a large body step by step, so that other deliveries are answered in between.

A parser in C builds every object of the body in one call: ten megabytes of small or deeply nested ones stop the event
loop for seconds, and a thread does not help, because such a call keeps Python's lock. This one checks the JSON with
regular expressions, some hundred values at a time, and builds only what the envelope needs.
"""

import asyncio
import codecs
import re
import time
from collections.abc import Generator
from typing import Any

from surehook.ingest.json_patterns import AFTER_KEY, ENDS, ITEMS, KEY, MEMBERS, NEXT, PART_OF_STRING, SPACES, VALUE
from surehook.shared.envelope import MAX_DEPTH, Envelope, envelope_of, parse_json
from surehook.shared.errors import MalformedBody

LARGE_BODY_BYTES = 64 * 1024  # a smaller body is parsed at once
STEP_SECONDS = 0.002
STEPS_PER_LOOK = 32  # at the clock
MAX_NEEDED_BYTES = 128 * 1024  # the sum of what the envelope needs
DECODED_AT_ONCE = 256 * 1024

# The members that the envelope needs. None: the whole value.
Needed = dict[str, "Needed"] | list["Needed"] | None
_ENVELOPE: Needed = {
    "event": {
        "id": None,
        "type": None,
        "tenantId": None,
        "userId": None,
        "actioneeUserId": None,
        "applicationId": None,
        "applicationIds": None,
        "applicationTimeToLiveInSeconds": None,
        "user": {"id": None, "registrations": [{"applicationId": None}]},
    }
}

_LIST, _OBJECT = ord("]"), ord("}")

Steps = Generator[None, None, Any]


async def parse_large_envelope(body: bytes, turn: asyncio.Lock) -> Envelope:
    """Reads the envelope as `parse_envelope` does, with pauses. Bodies that share the lock take turns.

    Raises:
        MalformedBody: as there; or nested more than 900 deep, or the ids in it exceed 128 KiB.
    """
    event = (await _with_pauses(_Scan(body).run(), turn)).get("event")
    if not isinstance(event, dict):
        raise MalformedBody('the body must be an object {"event": {...}}')
    return await asyncio.to_thread(envelope_of, event, body)  # it may hash the body, which releases Python's lock


async def _with_pauses(steps: Steps, turn: asyncio.Lock) -> Any:
    while True:
        async with turn:  # so that the loop takes one step at a time, however many bodies there are
            step_ends_at = time.perf_counter() + STEP_SECONDS
            try:
                next(steps)
                while time.perf_counter() < step_ends_at:
                    next(steps)
            except StopIteration as done:
                return done.value
            await asyncio.sleep(0)


class _Scan:
    """One pass over a body. Each method that returns `Steps` yields from time to time and returns its result."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._needed_bytes = 0
        self._is_key_next = False

    def run(self) -> Steps:
        yield from self._require_utf8()
        self._space()
        found = yield from self._read(_ENVELOPE)
        self._space()
        if self._at != len(self._body):
            raise _malformed()
        return found if isinstance(found, dict) else {}

    def _require_utf8(self) -> Steps:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for start in range(0, len(self._body), DECODED_AT_ONCE):
                decoder.decode(self._body[start : start + DECODED_AT_ONCE])
                yield
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise _malformed() from None

    def _read(self, needed: Needed) -> Steps:
        """Returns what is needed of the value here; None if it is of another kind."""
        first = self._body[self._at : self._at + 1]
        if isinstance(needed, dict) and first == b"{":
            return (yield from self._read_object(needed))
        if isinstance(needed, list) and first == b"[":
            return (yield from self._read_list(needed[0]))
        start = self._at
        yield from self._skip()
        if needed is not None:
            return None
        self._needed_bytes += self._at - start
        if self._needed_bytes > MAX_NEEDED_BYTES:
            raise MalformedBody("the ids of the event are longer than 128 KiB")
        return parse_json(self._body[start : self._at])

    def _read_object(self, needed: dict[str, Needed]) -> Steps:
        found: dict[str, Any] = {}
        self._at += 1
        self._space()
        if self._body[self._at : self._at + 1] == b"}":
            self._at += 1
            return found
        while True:
            key = yield from self._key()
            yield
            if key in needed:
                found[key] = yield from self._read(needed[key])
            else:
                yield from self._skip()
            if not self._has_more(_OBJECT):
                return found

    def _read_list(self, needed: Needed) -> Steps:
        found: list[Any] = []
        self._at += 1
        self._space()
        if self._body[self._at : self._at + 1] == b"]":
            self._at += 1
            return found
        while True:
            if item := (yield from self._read(needed)):  # empty ones name nothing, and may be millions
                found.append(item)
            yield
            if not self._has_more(_LIST):
                return found

    def _skip(self) -> Steps:
        """Go behind the value here."""
        ends = bytearray()  # one for each open container
        steps = 0
        while True:
            while not self._begin(ends):
                yield from self._skip_string()
                if not self._is_key_next:
                    break
                self._match(AFTER_KEY)
                self._is_key_next = False
            while ends and not self._continue(ends):
                steps += 1
                if steps % STEPS_PER_LOOK == 0:
                    yield
            if not ends:
                return
            steps += 1
            if steps % STEPS_PER_LOOK == 0:
                yield

    def _begin(self, ends: bytearray) -> bool:
        """Go behind the scalar here, or into the container down to its first scalar. False at a long string."""
        while True:
            if self._is_key_next:
                if not self._found(KEY):
                    return False
                self._is_key_next = False
            found = self._found(VALUE)
            if not found:
                return False
            if found.lastindex is None:
                return True
            opened = found[1] or found[2]
            ends += b"]" * opened.count(b"[") or b"}"
            if len(ends) > MAX_DEPTH:
                raise _malformed()
            if found[2]:
                self._is_key_next = True
            elif self._body[self._at : self._at + 1] == b"]":
                return True

    def _continue(self, ends: bytearray) -> bool:
        """Go behind the items here, or out of the containers that end here. Returns whether another value follows."""
        self._match(ITEMS if ends[-1] == _LIST else MEMBERS)
        closing = ENDS.match(self._body, self._at)
        if closing:
            count = min(len(closing[1]), len(ends))
            if closing[1][:count] != ends[: -count - 1 : -1]:
                raise _malformed()
            del ends[-count:]
            self._at = closing.start(1) + count
            return False
        self._match(NEXT)
        self._is_key_next = ends[-1] == _OBJECT
        return True

    def _skip_string(self) -> Steps:
        if self._body[self._at : self._at + 1] != b'"':
            raise _malformed()
        self._at += 1
        while self._match(PART_OF_STRING)[0]:
            yield
        if self._body[self._at : self._at + 1] != b'"':
            raise _malformed()
        self._at += 1

    def _key(self) -> Steps:
        found = self._found(KEY)
        if not found:
            yield from self._skip_string()
            self._match(AFTER_KEY)
            return ""  # none that is needed is so long
        return str(parse_json(found[1])) if b"\\" in found[1] else found[1][1:-1].decode()

    def _has_more(self, end: int) -> bool:
        """Go behind the comma, or behind the end of the container. Returns whether it was a comma."""
        self._space()
        if self._body[self._at : self._at + 1] == bytes((end,)):
            self._at += 1
            return False
        self._match(NEXT)
        return True

    def _space(self) -> None:
        self._match(SPACES)

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = self._found(pattern)
        if found is None:
            raise _malformed()
        return found

    def _found(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        found = pattern.match(self._body, self._at)
        if found is not None:
            self._at = found.end()
        return found


def _malformed() -> MalformedBody:
    return MalformedBody("the body is not JSON, or nested too deeply")
