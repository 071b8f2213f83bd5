"""Encrypting what is stored anew, with the newest key, while doors and workers go on.

Nothing is remembered between two runs: a record says itself which key it is under, so what a killed run did is done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import redis

from surehook.admin.records import PORTION, Records, RecordSummary
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script


class Result(Enum):
    """What became of a record."""

    ENCRYPTED = "encrypted"
    FINE = "fine"
    KEY_MISSING = "key missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Step:
    """One record that was looked at; `key_id` is what it was under."""

    event_id: str
    key_id: str
    result: Result


class Rotation:
    """Once over all records."""

    def __init__(self, store: redis.Redis, keys: Keys, vault: BodyCipher) -> None:
        self._store = store
        self._vault = vault
        self._records = Records(store, keys)
        self._rekey = Script("reencrypt", keys)

    def steps(self, *, is_dry: bool = False, portion: int = PORTION) -> Iterator[Step]:
        """Look at each record, and change it unless `is_dry`. What an iteration has yielded is done."""
        for page in self._records.pages():
            wanting = []
            for outline in page:
                if not outline.body_bytes or outline.key_id == self._vault.newest:
                    yield Step(outline.event_id, outline.key_id, Result.FINE)
                elif not self._vault.opens(outline.key_id):
                    yield Step(outline.event_id, outline.key_id, Result.KEY_MISSING)
                elif is_dry:
                    yield Step(outline.event_id, outline.key_id, Result.ENCRYPTED)
                else:
                    wanting.append(outline)
            for read in self._records.bodies(wanting, portion):
                yield from self._change(read)

    def _change(self, read: list[tuple[RecordSummary, str, bytes]]) -> Iterator[Step]:
        calls: list[tuple[str, str, bytes, str]] = []
        for outline, key_id, body in read:
            if key_id == self._vault.newest:  # another rotation was quicker
                yield Step(outline.event_id, key_id, Result.FINE)
                continue
            try:
                calls.append((outline.event_id, key_id, *self._vault.seal(self._vault.open(body, key_id))))
            except KeyMissing:  # the same, with a key that is not here
                yield Step(outline.event_id, key_id, Result.KEY_MISSING)
            except BodyDamaged:
                yield Step(outline.event_id, key_id, Result.DAMAGED)
        replies = self._rekey.run_many(self._store, calls)
        for (event_id, key_id, *_), is_changed in zip(calls, replies, strict=True):
            yield Step(event_id, key_id, Result.ENCRYPTED if is_changed else Result.FINE)
