"""Erases what is kept of a user's events, except their ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import redis

from surehook.admin.event_records import EventFilter
from surehook.admin.open_events import OpenEvents
from surehook.admin.portions import AT_ONCE
from surehook.admin.records import PORTION, Records, RecordSummary
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text


@dataclass(frozen=True, slots=True)
class Erased:
    """The result for one event: erased, running (erased when its runs end) or gone; and what was erased with it."""

    event_id: str
    outcome: str
    attempts: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class ScannedRecord:
    """A record that was read: the user's own, or another user's whose body names the user."""

    event_id: str
    is_own: bool = False
    is_mention: bool = False
    missing_key_id: str = ""
    """The key that is missing: without it the body cannot be searched."""


class Erasure:
    """Finds and erases records."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher, *, retention_seconds: int) -> None:
        self._store = store
        self._keys = keys
        self._cipher = cipher
        self._retention_seconds = retention_seconds
        self._records = Records(store, keys)
        self._open = OpenEvents(store, keys, cipher)
        self._erase = Script("erase", keys)

    def scan(self, user_id: str, *, into_bodies: bool) -> Iterator[ScannedRecord]:
        """Reads every record; on each page the user's own records come before the search in other bodies."""
        for page in self._records.pages():
            others = []
            for summary in page:
                if summary.user_id == user_id:
                    yield ScannedRecord(summary.event_id, is_own=True)
                elif into_bodies and summary.body_bytes:
                    others.append(summary)
                else:
                    yield ScannedRecord(summary.event_id)
            for read in self._records.bodies(others, PORTION):
                yield from (self._search_body(user_id, *each) for each in read)

    def open_events(self, user_id: str) -> Iterator[str]:
        """Finds the user's open events, the newest first.

        If they are erased in this order, no event of a line runs because the one before it was erased.
        """
        for candidates, _ in self._open.batches(EventFilter(user_id=user_id), until_ms=None):
            yield from (candidate.event_id for candidate in candidates)

    def is_there(self, event_id: str) -> bool:
        """Says whether there is a record that was not erased before, with or without its body."""
        return bool(self._store.hexists(self._keys.event(event_id), "type"))

    def erase(self, event_id: str, user_id: str = "") -> Erased:
        """Erases an event if it belongs to this user; "" accepts any user."""
        (erased,) = self.erase_many([event_id], user_id)
        return erased

    def erase_many(self, event_ids: Sequence[str], user_id: str = "") -> Iterator[Erased]:
        """Erases as `erase` does. Those that are sent together share the store's fsync."""
        for start in range(0, len(event_ids), AT_ONCE):
            portion = event_ids[start : start + AT_ONCE]
            calls = [(event_id, user_id, self._retention_seconds) for event_id in portion]
            replies = self._erase.run_many(self._store, calls)
            for event_id, (outcome, attempts, dead) in zip(portion, replies, strict=True):
                yield Erased(event_id, text(outcome), attempts, dead)

    def _search_body(self, user_id: str, summary: RecordSummary, key_id: str, body: bytes) -> ScannedRecord:
        try:
            plain = self._cipher.decrypt(body, key_id)
        except (KeyMissing, BodyDamaged):
            return ScannedRecord(summary.event_id, missing_key_id=key_id)
        return ScannedRecord(summary.event_id, is_mention=user_id.encode() in plain.lower())
