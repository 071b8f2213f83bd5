"""Encrypts stored bodies with the newest key, while ingest and workers run.

No progress is stored: each record names its key, so a run that was killed need not repeat what it did.
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
    """The result for one record."""

    ENCRYPTED = "encrypted"
    FINE = "fine"
    KEY_MISSING = "key missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Step:
    """One record that was checked, and the key it was encrypted with."""

    event_id: str
    key_id: str
    result: Result


class Rotation:
    """Goes through all records once."""

    def __init__(self, store: redis.Redis, keys: Keys, cipher: BodyCipher) -> None:
        self._store = store
        self._cipher = cipher
        self._records = Records(store, keys)
        self._rekey = Script("reencrypt", keys)

    def steps(self, *, is_dry: bool = False, portion: int = PORTION) -> Iterator[Step]:
        """Checks each record, and encrypts it anew unless `is_dry`. A step that was yielded is done."""
        for page in self._records.pages():
            outdated = []
            for summary in page:
                if not summary.body_bytes or summary.key_id == self._cipher.newest_key_id:
                    yield Step(summary.event_id, summary.key_id, Result.FINE)
                elif not self._cipher.has_key(summary.key_id):
                    yield Step(summary.event_id, summary.key_id, Result.KEY_MISSING)
                elif is_dry:
                    yield Step(summary.event_id, summary.key_id, Result.ENCRYPTED)
                else:
                    outdated.append(summary)
            for read in self._records.bodies(outdated, portion):
                yield from self._change(read)

    def _change(self, read: list[tuple[RecordSummary, str, bytes]]) -> Iterator[Step]:
        calls: list[tuple[str, str, bytes, str]] = []
        for summary, key_id, body in read:
            if key_id == self._cipher.newest_key_id:  # another rotation was first
                yield Step(summary.event_id, key_id, Result.FINE)
                continue
            try:
                calls.append((summary.event_id, key_id, *self._cipher.encrypt(self._cipher.decrypt(body, key_id))))
            except KeyMissing:  # another rotation, with a key that is not configured here
                yield Step(summary.event_id, key_id, Result.KEY_MISSING)
            except BodyDamaged:
                yield Step(summary.event_id, key_id, Result.DAMAGED)
        replies = self._rekey.run_many(self._store, calls)
        for (event_id, key_id, *_), is_changed in zip(calls, replies, strict=True):
            yield Step(event_id, key_id, Result.ENCRYPTED if is_changed else Result.FINE)
