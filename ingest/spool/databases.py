"""The databases of one process: its own, and those of dead processes that it has adopted. One thread uses them.

While the disk is full or read-only a process may have none of its own: the store may be well, so the endpoint starts.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from surehook.ingest.spool.database import Database
from surehook.ingest.spool.disk import LEAST_ROOM_BYTES, Disk
from surehook.ingest.spool.folder import LockedPath, SpoolFolder
from surehook.ingest.spool.schema import Received, Spooled
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import Misconfigured, SpoolDamaged, SpoolForeign, SpoolOfAnother
from surehook.shared.settings import Settings
from surehook.shared.store_name import store_name

log = logging.getLogger(__name__)

T = TypeVar("T")
DISK_ERRORS = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR")  # they may end without a change of the settings


class Databases:
    """Opened in the thread of the event loop; from then on only `run` touches the files.

    Databases of another store are adopted only if `of_any_store`.
    """

    def __init__(self, settings: Settings, *, of_any_store: bool = False) -> None:
        self.folder = SpoolFolder(Path(settings.spool_dir))
        self._cipher = BodyCipher(settings.encryption_keys)
        self._max_bytes = settings.spool_max_bytes
        self._store = store_name(settings)
        self._of_any_store = of_any_store
        self._left_alone: set[Path] = set()
        self._own: Database | None = None
        self._adopted: list[Database] = []
        self._paths: dict[Database, LockedPath] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._disk = Disk(self.folder)

    @property
    def problem(self) -> str:
        """The reason why the disk takes no writes now, "" if it does."""
        return self._disk.problem

    @property
    def waiting(self) -> int:
        return sum(database.waiting for database in self._all)

    @property
    def _all(self) -> list[Database]:
        return [*self._adopted] if self._own is None else [*self._adopted, self._own]

    def open(self, *, adopts: bool = True) -> None:
        """Make a database, and adopt those that were left.

        Raises:
            Misconfigured: the folder cannot be used.
        """
        self._make_own()
        if adopts:
            self.adopt()

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a method of this class in the thread of the databases."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments))

    def append(self, events: Sequence[Received]) -> list[str | None]:
        """Write events, as `Database.append`. A damaged database is replaced by a new one."""
        with self._disk.noting_failures():
            own = self._own or self._new_own()
            try:
                outcomes = own.append(events, self._room_bytes())
            except SpoolDamaged as exc:
                self._set_aside(own, exc)
                outcomes = (self._own or self._new_own()).append(events, self._room_bytes())
            self.rescue()  # after the write, so that its events are in a file that stays
        if None in outcomes:
            self._disk.written()
        return outcomes

    def rescue(self) -> None:
        """Copy what waits in files that were removed into a new database."""
        removed = [database for database in self._all if not database.is_in_place]
        if not removed:
            return
        waiting = sum(database.waiting for database in removed)
        log.error("spool database removed", extra={"path": str(removed[0].path), "count": waiting})
        self.folder.prepare()
        fresh = self._new()
        for database in removed:
            with contextlib.suppress(SpoolDamaged):
                database.copy_to(fresh)
            locked = self._forget(database)
            locked.release() if locked.path.exists() else locked.delete()
        self._adopted = [database for database in self._all if database not in removed]
        self._own = fresh
        self._disk.written()

    def first(self) -> Database | None:
        """The database whose events are next."""
        return next((database for database in self._all if database.waiting), None)

    def has_others(self, database: Database) -> bool:
        """True if events wait in another database than this."""
        return any(each.waiting for each in self._all if each is not database)

    def use(self, database: Database, function: Callable[..., T], *arguments: object) -> T | None:
        """Call a method of a database. If it is damaged, it is set aside, and None is returned."""
        try:
            return function(*arguments)
        except SpoolDamaged as exc:
            self._set_aside(database, exc)
            return None

    def tidy(self) -> None:
        """Give room back: delete adopted databases that are empty, and shrink this process's own."""
        for database in [each for each in self._adopted if not each.waiting and not each.refused]:
            self._adopted.remove(database)
            self._leave(database)
        own = self._own
        if own is None or own.waiting:
            return
        if not own.refused and not own.is_empty():
            self._own = None
            self._forget(own).delete()
            own = self._new_own()
        self.use(own, own.shrink)

    def adopt(self) -> int:
        """Adopt what dead processes have left. Returns the number of events in it."""
        if (own := self._own) is None:
            self._make_own()
        else:
            self._disk.look(lambda: self.use(own, own.touch))
        with self._disk.noting_failures():
            self.rescue()
        for database in self._all:
            if database.refused:  # `surehook spool flush` may have cleared them
                self.use(database, database.recount)
        known = {database.path for database in self._paths}
        before = sum(database.waiting for database in self._adopted)
        for locked in self.folder.left():
            if locked.path in self._left_alone:
                locked.release()
            elif locked.path not in known:
                self._adopt(locked)
        return sum(database.waiting for database in self._adopted) - before

    def spooled(self) -> Spooled:
        """Count what waits now."""
        room = 0 if self._own is None else min(self._room_bytes(), self.folder.free_bytes())
        oldest = [database.oldest_at for database in self._all if database.oldest_at is not None]
        return Spooled(
            self.waiting,
            sum(database.used_bytes for database in self._all if database.waiting),
            min(oldest, default=None),
            sum(each.refused for each in self._all)
            + len(self.folder.set_aside())
            + sum(map(Path.exists, self._left_alone)),
            has_room=room >= LEAST_ROOM_BYTES and not self.problem,
            is_writable=not self.problem,
        )

    def close(self) -> None:
        """Leave what waits to the next process."""
        self._thread.shutdown(wait=True)
        for database in self._all:
            if database in self._paths:  # else it could not be replaced
                self._leave(database)

    def _room_bytes(self) -> int:
        used = sum(database.used_bytes for database in self._all)
        return self._max_bytes - used - self.folder.used_bytes({database.path for database in self._all})

    def _make_own(self) -> None:
        """Make this process's database, if the disk takes one."""
        with contextlib.suppress(OSError, sqlite3.Error), self._disk.noting_failures():
            self.folder.prepare()
            self._new_own()

    def _new_own(self) -> Database:
        self._own = self._new()
        self._disk.written()
        return self._own

    def _new(self) -> Database:
        locked = self.folder.new()
        try:
            database = Database(locked.path, self._cipher, self._store)
            database.create()
        except sqlite3.Error as exc:
            locked.delete()
            if getattr(exc, "sqlite_errorname", "").startswith(DISK_ERRORS):
                raise
            raise Misconfigured(f"SUREHOOK_SPOOL_DIR={self.folder.path}: SQLite cannot write there ({exc})") from exc
        self._paths[database] = locked
        return database

    def _adopt(self, locked: LockedPath) -> None:
        if locked.has_only_a_log:  # SQLite would delete it
            log.error("spool database set aside", extra={"path": str(locked.path), "reason": "its file is empty"})
            locked.set_aside()
            return
        database = Database(locked.path, self._cipher, self._store)
        self._paths[database] = locked
        try:
            if database.is_untouched:
                self._forget(database).delete()
                return
            database.open(of_any_store=self._of_any_store)
        except SpoolOfAnother as exc:
            log.warning("spool database of another", extra={"path": str(locked.path), "reason": str(exc)})
            self._left_alone.add(locked.path)
            self._forget(database).release()
        except (SpoolDamaged, SpoolForeign) as exc:
            self._set_aside(database, exc)
        except sqlite3.Error as exc:  # a full disk, a file of another user: perhaps later
            log.warning("spool database unavailable", extra={"path": str(locked.path), "reason": str(exc)})
            self._forget(database).release()
        else:
            self._adopted.append(database)
            log.warning("spool database adopted", extra={"path": str(locked.path), "count": database.waiting})

    def _set_aside(self, database: Database, why: Exception) -> None:
        self._forget(database).set_aside()
        log.error("spool database set aside", extra={"path": str(database.path), "reason": str(why)})
        if database in self._adopted:
            self._adopted.remove(database)
        elif database is self._own:
            self._own = None
            self._make_own()

    def _leave(self, database: Database) -> None:
        is_empty = not database.waiting and not database.refused
        locked = self._forget(database)
        locked.delete() if is_empty else locked.release()

    def _forget(self, database: Database) -> LockedPath:
        database.close()
        return self._paths.pop(database)
