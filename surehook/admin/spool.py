"""The spool of this machine, read without disturbing the processes that write it, and forwarded on request."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from surehook.ingest.spool.folder import SpoolFolder
from surehook.shared.errors import SpoolFull, StoreUnavailable
from surehook.shared.settings import OFF, Settings
from surehook.shared.store_name import store_name

if TYPE_CHECKING:
    from surehook.ingest.spool.spool import Spool

SUMMARY = (
    "select count(*), coalesce(sum(refused != ''), 0), min(received_at), coalesce(sum(length(body)), 0) from events"
)
T = TypeVar("T")
COLUMNS = "select event_id, event_type, received_at, length(body), refused from events"
EVENTS = f"{COLUMNS} order by position limit ?"
EVENT = f"{COLUMNS} where event_id = ?"
RETRY = "update events set refused = '' where refused != ''"
OF_KEYS = "select key_id, count(*) from events group by key_id"
READY_SECONDS = 10.0
STUCK_SECONDS = 10.0
LOOK_SECONDS = 0.05
BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """An event that waits, without its body."""

    id: str
    type: str
    received_at: datetime
    bytes: int
    refused: str
    """Why the store does not take this event; "" if it waits for the store."""


@dataclass(frozen=True, slots=True)
class SpoolSummary:
    """Counts of this machine."""

    events: int = 0
    refused: int = 0
    bytes: int = 0
    oldest_at: datetime | None = None
    left: int = 0
    """Events of dead processes: the next `surehook ingest` adopts them."""
    set_aside: tuple[str, ...] = ()
    """Databases that are damaged or not ours."""
    unreadable: tuple[str, ...] = ()
    elsewhere: int = 0
    """Events for other stores: an installation that shares the folder, or this one's before its store had moved."""
    other_stores: tuple[str, ...] = ()

    @property
    def unsearchable(self) -> tuple[str, ...]:
        """Databases in which no command can look for events."""
        return (*self.set_aside, *self.unreadable)


@dataclass(frozen=True, slots=True)
class Flushed:
    """The result of a flush."""

    forwarded: int
    remaining: int


class SpoolReader:
    """Reads the databases in SPOOL_DIR that hold events for this store."""

    def __init__(self, settings: Settings) -> None:
        self._folder = None if settings.spool_dir == OFF else SpoolFolder(Path(settings.spool_dir))
        self._store = store_name(settings)

    def summary(self) -> SpoolSummary:
        if self._folder is None:
            return SpoolSummary()
        events = refused = size = left = elsewhere = 0
        oldest: list[int] = []
        unreadable: list[str] = []
        others: set[str] = set()
        for path in sorted(self._folder.databases()):
            try:
                with open_database(path) as database:
                    count, refused_here, oldest_here, size_here = database.execute(SUMMARY).fetchone()
                    store = _store_of(database)
            except sqlite3.Error:
                if path.exists():
                    unreadable.append(str(path))
                continue
            if store != self._store:
                elsewhere += count
                others |= {store} if count else set()
                continue
            events, refused, size = events + count, refused + refused_here, size + size_here
            oldest += [] if oldest_here is None else [oldest_here]
            left += 0 if self._folder.is_live(path) else count
        set_aside = tuple(map(str, self._folder.set_aside()))
        oldest_at = _instant(min(oldest)) if oldest else None
        found = (events, refused, size, oldest_at, left, set_aside, tuple(unreadable), elsewhere, tuple(sorted(others)))
        return SpoolSummary(*found)

    def events(self, limit: int) -> list[SpooledEvent]:
        """The oldest events of each database."""
        found = self.read(lambda database: map(_event, database.execute(EVENTS, (limit,))))
        return sorted(found, key=lambda event: event.received_at)[:limit]

    def event(self, event_id: str) -> SpooledEvent | None:
        """The event with this id, if it waits on this machine."""
        found = self.read(lambda database: map(_event, database.execute(EVENT, (event_id.lower(),))))
        return found[0] if found else None

    def keys(self) -> Counter[str]:
        """The number of events by the fingerprint of the key that encrypts them; "" for plain ones."""
        counts: Counter[str] = Counter()
        for key_id, count in self.read(lambda database: database.execute(OF_KEYS)):
            counts[key_id] += count
        return counts

    def retry_refused(self) -> None:
        """Let the processes offer refused events to the store again."""
        self.read(lambda database: database.execute(RETRY), writes=True)

    def read(self, query: Callable[[sqlite3.Connection], Iterable[T]], *, writes: bool = False) -> list[T]:
        """Calls `query` for each database. One that cannot be read is left out; `summary` names it."""
        found: list[T] = []
        for path in self._folder.databases() if self._folder else ():
            with contextlib.suppress(sqlite3.Error), open_database(path, writes=writes) as database:
                if _store_of(database) == self._store:
                    found += query(database)
        return found


def flush(settings: Settings, *, of_any_store: bool = False) -> Flushed:
    """Forward what dead processes have left. Running processes forward their own events as soon as the store is ready.

    Raises:
        StoreUnavailable: the store takes no events.
        SpoolFull: the disk of the spool cannot be written to.
    """
    SpoolReader(settings).retry_refused()
    return asyncio.run(_flush(settings, of_any_store=of_any_store))


async def _flush(settings: Settings, *, of_any_store: bool) -> Flushed:
    from surehook.ingest.metrics import IngestMetrics  # noqa: PLC0415 - `list` and `ledger` need none of it
    from surehook.ingest.spool.spool import Spool  # noqa: PLC0415
    from surehook.ingest.store.acceptor import Acceptor  # noqa: PLC0415

    logging.getLogger("surehook").addHandler(logging.NullHandler())  # the command says how it ends
    metrics = IngestMetrics()
    acceptor = Acceptor(settings, metrics)
    storing = asyncio.create_task(acceptor.run())
    try:
        await acceptor.wait_until_checked(READY_SECONDS)
        if not acceptor.is_ready:
            raise StoreUnavailable(f"the store takes no events now: {acceptor.session.problem}")
        spool = Spool(settings, metrics, acceptor, of_any_store=of_any_store)
        spool.open()
        if spool.problem:
            raise SpoolFull(
                f"the disk of SUREHOOK_SPOOL_DIR cannot be written to ({spool.problem}): free some room there"
            )
        found = spool.waiting
        forwarding = asyncio.create_task(spool.run())
        await _until_stuck(spool)
        spool.stop()
        await forwarding
        return Flushed(found - spool.waiting, spool.waiting)
    finally:
        acceptor.stop()
        await storing


async def _until_stuck(spool: "Spool") -> None:
    """Wait until nothing waits, or nothing has been forwarded for some seconds."""
    waiting, stuck_at = -1, 0.0
    while now_waiting := spool.waiting:
        now = time.monotonic()
        if now_waiting != waiting:
            waiting, stuck_at = now_waiting, now + STUCK_SECONDS
        if now >= stuck_at:
            return
        await asyncio.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def open_database(path: Path, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    ) as database:
        if not writes:
            database.execute("pragma query_only = 1")
        yield database


def _store_of(database: sqlite3.Connection) -> str:
    found: tuple[str] | None = database.execute("select name from store").fetchone()
    return found[0] if found else ""


def _event(row: tuple[str, str, int, int, str]) -> SpooledEvent:
    event_id, event_type, received_at, size, refused = row
    return SpooledEvent(event_id, event_type, _instant(received_at), size, refused)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
