"""Erasing: what is kept of a user's events goes, but for their ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import redis

from surehook.admin.records import PORTION, Records, RecordSummary
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of one event: erased, running (erased when what runs of it ends) or gone, and what went with it."""

    event_id: str
    outcome: str
    attempts: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was looked at: the user's own, or another's whose body names the user."""

    event_id: str
    is_own: bool = False
    is_mention: bool = False
    missing_key_id: str = ""
    """Nobody can say whether the body names the user: it is under this key."""


class Erasure:
    """Find and erase."""

    def __init__(self, store: redis.Redis, keys: Keys, vault: BodyCipher, *, retention_seconds: int) -> None:
        self._store = store
        self._keys = keys
        self._vault = vault
        self._retention_seconds = retention_seconds
        self._records = Records(store, keys)
        self._erase = Script("erase", keys)

    def look(self, user_id: str, *, into_bodies: bool) -> Iterator[Found]:
        """Every record, the user's own before others' bodies are looked into."""
        for page in self._records.pages():
            others = []
            for outline in page:
                if outline.user_id == user_id:
                    yield Found(outline.event_id, is_own=True)
                elif into_bodies and outline.body_bytes:
                    others.append(outline)
                else:
                    yield Found(outline.event_id)
            for read in self._records.bodies(others, PORTION):
                yield from (self._look_into(user_id, *each) for each in read)

    def is_there(self, event_id: str) -> bool:
        """Whether there is something to erase: a record with a body."""
        return bool(self._store.hexists(self._keys.event(event_id), "body"))

    def erase(self, event_id: str, user_id: str = "") -> Erased:
        """Erase an event, if it is still this user's ("": whoever's)."""
        outcome, attempts, dead = self._erase.run(self._store, event_id, user_id, self._retention_seconds)
        return Erased(event_id, text(outcome), attempts, dead)

    def _look_into(self, user_id: str, outline: RecordSummary, key_id: str, body: bytes) -> Found:
        try:
            plain = self._vault.open(body, key_id)
        except (KeyMissing, BodyDamaged):
            return Found(outline.event_id, missing_key_id=key_id)
        return Found(outline.event_id, is_mention=user_id.encode() in plain.lower())
