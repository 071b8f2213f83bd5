"""One database of the spool: the events that wait for the store, oldest first. SQLite makes them durable."""

import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from surehook.ingest.spool import schema
from surehook.ingest.spool.schema import Received, Row
from surehook.ingest.store.accept_script import SpooledEvent
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import BodyDamaged, SpoolDamaged, SpoolForeign, SpoolOfAnother

log = logging.getLogger(__name__)

MAX_QUICK_CHECK_BYTES = 64 * 1024 * 1024  # a larger file would delay the start; reading finds its damage
ROW_BYTES = 400  # for a row beside its body
ROW_TYPES = (str, str, str, str, str, str, bytes, str, int)
DAMAGED = "its content is damaged"

FULL = "full"  # the outcome of an event that there is no room for


class Database:
    """Used from one thread at a time. `waiting` is the number of events that the store has not refused.

    `store` names the store that its events are for. While a full disk lets no event be deleted, the store has all up to
    the position `_passed`, except those in `_kept`, which it had refused.
    """

    def __init__(self, path: Path, cipher: BodyCipher, store: str) -> None:
        self.path = path
        self._cipher = cipher
        self._store = store
        self._passed = 0
        self._kept: set[int] = set()
        self._connection = schema.connect(path)
        self._inode = path.stat().st_ino
        self.waiting = self.refused = self.used_bytes = 0
        self.oldest_at: int | None = None

    def create(self) -> None:
        """Write the tables of a new database. It is closed if that fails."""
        try:
            with self._transaction():
                for statement in schema.STATEMENTS:
                    self._connection.execute(statement)
                self._connection.execute("insert into store values (?)", (self._store,))
            self.recount()
        except sqlite3.Error:
            self.close()
            raise

    def open(self, *, of_any_store: bool = False) -> None:
        """Check a database that another process has left.

        Raises:
            SpoolForeign: it is another program's.
            SpoolOfAnother: it belongs to another store, or to another version.
            SpoolDamaged: it cannot be read.
        """
        with self._translated():
            (application_id,), (version,) = self._read("pragma application_id"), self._read("pragma user_version")
            if application_id != schema.APPLICATION_ID:
                raise SpoolForeign(f"it is no spool of Surehook ({application_id:#x})")
            if version != schema.VERSION:
                raise SpoolOfAnother(f"another version wrote it ({version}; this one reads {schema.VERSION})")
            if self.path.stat().st_size <= MAX_QUICK_CHECK_BYTES and self._read("pragma quick_check(1)") != ("ok",):
                raise SpoolDamaged("SQLite finds damage in it")
            if not of_any_store and (store := self._read("select name from store")) != (self._store,):
                raise SpoolOfAnother(f"its events are for another store ({' '.join(map(str, store))})")
            with self._transaction():
                self._connection.execute("update events set refused = '' where refused != ''")  # the cause may be gone
            self.recount()

    @property
    def is_untouched(self) -> bool:
        """True if its process was killed before it had written anything."""
        with self._translated():
            return self._read("select count(*) from sqlite_master") == (0,)

    @property
    def is_in_place(self) -> bool:
        """False if the file was removed or replaced: what is in it is lost with this process."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def append(self, events: Sequence[Received], room_bytes: int) -> list[str | None]:
        """Write events in one transaction, on disk when this returns.

        Returns for each event: None if it is written, FULL, or the type of the event that has its id already.
        """
        outcomes: list[str | None] = []
        with self._translated(), self._transaction():
            for envelope, received_at in events:
                body, key_id = self._cipher.encrypt(envelope.body)
                if len(body) + ROW_BYTES > room_bytes:
                    outcomes.append(FULL)
                    continue
                written = self._connection.execute(schema.INSERT, (*envelope[:5], received_at, body, key_id)).rowcount
                if written:
                    room_bytes -= len(body) + ROW_BYTES
                outcomes.append(None if written else self._type_of(envelope.event_id))
        self._after_change(added=outcomes.count(None))
        return outcomes

    def oldest(self, count: int, max_bytes: int) -> list[Row]:
        """Returns the oldest events, with their bodies encrypted by the newest key."""
        rows: list[Row] = []
        size = 0
        with self._translated():
            for position, *columns in self._connection.execute(schema.OLDEST, (self._passed, count)).fetchall():
                if not all(map(isinstance, columns, ROW_TYPES)):
                    self.refuse(position, str(columns[0]), DAMAGED)
                    continue
                event = self._with_newest_key(SpooledEvent(*columns))
                size += len(event.body)
                if rows and size > max_bytes:
                    break
                rows.append(Row(position, event))
        if not rows:
            self.recount()  # a command has erased them
        return rows

    def remove(self, positions: Sequence[int]) -> None:
        """Delete events that the store has, or pass over them if the disk is full."""
        count = len(positions)
        try:
            with self._translated(), self._transaction():
                stored = [*positions, *self._forwarded()]
                self._connection.executemany("delete from events where position = ?", [(each,) for each in stored])
            self._passed, self._kept = 0, set()
        except sqlite3.OperationalError as exc:
            log.warning("spooled events not deleted", extra={"path": str(self.path), "reason": str(exc)})
            count = self._pass_over(set(positions))
        self._after_change(added=-count)

    def copy_to(self, other: "Database") -> None:
        """Write the events to another database, in their order."""
        with self._translated(), other._transaction():  # noqa: SLF001 - of the same class
            rows = self._connection.execute(schema.COPIED, (self._passed,))
            other._connection.executemany(schema.COPY, rows)  # noqa: SLF001
        other.recount()

    def refuse(self, position: int, event_id: str, reason: str) -> None:
        """Set an event aside that the store refuses, so that those behind it go on."""
        log.error("spooled event set aside", extra={"event_id": event_id, "reason": reason})
        with self._translated(), self._transaction():
            self._connection.execute("update events set refused = ? where position = ?", (reason, position))
        self.refused += 1
        self._after_change(added=-1)

    def is_empty(self) -> bool:
        """False if the disk is so full that the events of an emptied database cannot be deleted."""
        if self._passed:
            self.remove([])
        return self._read("select count(*) from events") == (0,)

    def shrink(self) -> None:
        """Give the room of an empty database back, and with it the last traces of the events."""
        with contextlib.suppress(sqlite3.OperationalError):  # a command looks into it
            if not self.refused:
                self._connection.execute("vacuum")
            self._connection.execute("pragma wal_checkpoint(truncate)")
        self._after_change(added=0)

    def recount(self) -> None:
        """Count anew, after another process may have changed something."""
        self.waiting, self.refused = self._read(
            "select coalesce(sum(refused = '' and position > ?), 0), coalesce(sum(refused != ''), 0) from events",
            self._passed,
        )
        self._after_change(added=0)

    def touch(self) -> bool:
        """Write something, on disk when this returns True, although no event has come."""
        with self._translated(), self._transaction():
            self._connection.execute(f"pragma user_version = {schema.VERSION}")
        return True

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _with_newest_key(self, event: SpooledEvent) -> SpooledEvent:
        """Encrypts a body again if the keys were rotated while it waited."""
        if event.key_id == self._cipher.newest_key_id or not self._cipher.has_key(event.key_id):
            return event
        try:
            body, key_id = self._cipher.encrypt(self._cipher.decrypt(event.body, event.key_id))
        except BodyDamaged:
            return event  # the worker makes it a dead letter that says so
        return event._replace(body=body, key_id=key_id)

    def _type_of(self, event_id: str) -> str:
        found: tuple[Any, ...] = self._connection.execute(
            "select event_type from events where event_id = ?", (event_id,)
        ).fetchone()
        return str(found[0])

    def _after_change(self, *, added: int) -> None:
        self.waiting += added
        (pages,), (free,), (size,) = map(self._read, ("pragma page_count", "pragma freelist_count", "pragma page_size"))
        self.used_bytes = (pages - free) * size
        oldest = self._read(f"select received_at {schema.WAITING}", self._passed, 1)
        self.oldest_at = oldest[0] if oldest else None

    def _forwarded(self) -> list[int]:
        """The events that could not be deleted yet."""
        if not self._passed:
            return []
        rows = self._connection.execute(schema.FORWARDED, (self._passed,)).fetchall()
        return [position for (position,) in rows if position not in self._kept]

    def _pass_over(self, stored: set[int]) -> int:
        """Returns how many of the oldest events are stored."""
        rows = self._connection.execute(f"select position {schema.WAITING}", (self._passed, len(stored))).fetchall()
        passed = list(itertools.takewhile(stored.__contains__, (position for (position,) in rows)))
        self._passed = max(passed, default=self._passed)
        self._kept |= {position for (position,) in self._connection.execute(schema.REFUSED, (self._passed,))}
        return len(passed)

    def _read(self, query: str, *values: int) -> tuple[Any, ...]:
        found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return found or ()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself
                self._connection.execute("rollback")
            raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as exc:
            if getattr(exc, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise SpoolDamaged(f"SQLite cannot read it ({exc.sqlite_errorname})") from exc
            raise
