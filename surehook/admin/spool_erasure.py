"""Finds and erases events in this machine's spool."""

import sqlite3
from collections.abc import Iterator, Sequence

import redis

from surehook.admin.erasure import ScannedRecord
from surehook.admin.spool import SpoolReader
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, KeyMissing
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings

ALL = "select event_id, user_id, key_id, body from events"
ERASE = "delete from events where event_id = ?"


class SpoolErasure:
    """`unsearchable` are databases that no command can look into."""

    def __init__(self, settings: Settings, store: redis.Redis, cipher: BodyCipher) -> None:
        self._store = store
        self._forget = Script("erase_spooled", Keys(settings.key_prefix))
        self._remembered_seconds = settings.id_retention
        self._reader = SpoolReader(settings)
        self._cipher = cipher
        self.unsearchable = self._reader.summary().unsearchable

    def contains(self, event_id: str) -> bool:
        return self._reader.event(event_id) is not None

    def scan(self, user_id: str) -> list[ScannedRecord]:
        """Finds the events of a user, and those of others whose body names the user."""
        return self._reader.read(lambda database: self._scan(database, user_id))

    def erase(self, event_ids: Sequence[str], user_id: str = "") -> None:
        """Erases events of this machine without a trace.

        The store drops them first, because one may be on its way there, and all of the user from other machines.
        """
        self._forget.run(self._store, user_id, self._remembered_seconds, *event_ids)
        if event_ids:
            self._reader.read(lambda database: _erase(database, event_ids), writes=True)

    def _scan(self, database: sqlite3.Connection, user_id: str) -> Iterator[ScannedRecord]:
        for event_id, owner, key_id, body in database.execute(ALL):
            if owner == user_id:
                yield ScannedRecord(event_id, is_own=True)
                continue
            try:
                is_mention = user_id.encode() in self._cipher.decrypt(bytes(body), key_id).lower()
            except (KeyMissing, BodyDamaged):
                yield ScannedRecord(event_id, missing_key_id=key_id)
            else:
                yield ScannedRecord(event_id, is_mention=is_mention)


def _erase(database: sqlite3.Connection, event_ids: Sequence[str]) -> list[str]:
    database.execute("pragma secure_delete = on")
    database.execute("begin immediate")
    database.executemany(ERASE, [(event_id,) for event_id in event_ids])
    database.execute("commit")
    database.execute("pragma wal_checkpoint(truncate)")
    return []
