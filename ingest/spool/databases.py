"""The databases of one process: its own, and those of dead processes that it has adopted. One thread uses them."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from surehook.ingest.spool.database import Database
from surehook.ingest.spool.folder import LockedPath, SpoolFolder
from surehook.ingest.spool.schema import Received
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import Misconfigured, SpoolDamaged, SpoolForeign, SpoolOfAnother
from surehook.shared.settings import Settings
from surehook.shared.store_name import store_name

log = logging.getLogger(__name__)

T = TypeVar("T")
LEAST_ROOM_BYTES = 64 * 1024  # with less the spool counts as full


@dataclass(frozen=True, slots=True)
class Spooled:
    """Counts of the databases of this process."""

    events: int
    bytes: int
    oldest_at: int | None
    """Milliseconds since 1970; None if nothing waits."""
    set_aside: int
    """Databases and events set aside, and databases of others: a person must look at them."""
    has_room: bool


class Databases:
    """Opened in the thread of the event loop, before `run` is used; from then on only `run` touches the files.

    Those of another store are adopted only if `of_any_store`.
    """

    def __init__(self, settings: Settings, *, of_any_store: bool = False) -> None:
        self.folder = SpoolFolder(Path(settings.spool_dir))
        self._cipher = BodyCipher(settings.encryption_keys)
        self._max_bytes = settings.spool_max_bytes
        self._store = store_name(settings)
        self._of_any_store = of_any_store
        self._left_alone: set[Path] = set()
        self._own: Database
        self._adopted: list[Database] = []
        self._paths: dict[Database, LockedPath] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    @property
    def waiting(self) -> int:
        return sum(database.waiting for database in self._all)

    @property
    def _all(self) -> list[Database]:
        return [*self._adopted, self._own]

    def open(self, *, adopts: bool = True) -> None:
        """Make a database, and adopt those that were left.

        Raises:
            Misconfigured: the folder cannot be used.
        """
        self.folder.prepare()
        if adopts:
            self.adopt()
        self._own = self._new()

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a method of this class in the thread of the databases."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments))

    def append(self, events: Sequence[Received]) -> list[str | None]:
        """Write events, as `Database.append`. A damaged database is replaced by a new one."""
        try:
            outcomes = self._own.append(events, self._room_bytes())
        except SpoolDamaged as exc:
            self._set_aside(self._own, exc)
            outcomes = self._own.append(events, self._room_bytes())
        self.rescue()  # after the write, so that its events are in a file that stays
        return outcomes

    def rescue(self) -> None:
        """Copy what waits in files that were removed into a new database.

        Raises:
            Misconfigured: it cannot be made.
        """
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
        if self._own.waiting:
            return
        if not self._own.refused and not self._own.is_empty():
            self._forget(self._own).delete()
            self._own = self._new()
        self.use(self._own, self._own.shrink)

    def adopt(self) -> int:
        """Adopt what dead processes have left. Returns the number of events in it."""
        if hasattr(self, "_own"):
            self.rescue()
        for database in self._all if hasattr(self, "_own") else ():
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
        room = min(self._room_bytes(), self.folder.free_bytes())
        oldest = [database.oldest_at for database in self._all if database.oldest_at is not None]
        refused = sum(database.refused for database in self._all)
        return Spooled(
            self.waiting,
            sum(database.used_bytes for database in self._all if database.waiting),
            min(oldest, default=None),
            refused + len(self.folder.set_aside()) + sum(path.exists() for path in self._left_alone),
            room >= LEAST_ROOM_BYTES,
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

    def _new(self) -> Database:
        locked = self.folder.new()
        database = Database(locked.path, self._cipher, self._store)
        try:
            database.create()
        except sqlite3.Error as exc:
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
        elif database is getattr(self, "_own", None):
            self._own = self._new()

    def _leave(self, database: Database) -> None:
        is_empty = not database.waiting and not database.refused
        locked = self._forget(database)
        if is_empty:
            locked.delete()
        else:
            locked.release()

    def _forget(self, database: Database) -> LockedPath:
        database.close()
        return self._paths.pop(database)
