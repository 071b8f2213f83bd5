"""The spool of this machine, read without disturbing the processes that write it, and forwarded on request."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from surehook.ingest.spool.folder import SpoolFolder
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import OFF, Settings

if TYPE_CHECKING:
    from surehook.ingest.spool.spool import Spool

SUMMARY = (
    "select count(*), coalesce(sum(refused != ''), 0), min(received_at), coalesce(sum(length(body)), 0) from events"
)
EVENTS = "select event_id, event_type, received_at, length(body), refused from events order by position limit ?"
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


@dataclass(frozen=True, slots=True)
class Flushed:
    """The result of a flush."""

    forwarded: int
    remaining: int


class SpoolReader:
    """Reads the databases in SPOOL_DIR."""

    def __init__(self, settings: Settings) -> None:
        self._folder = None if settings.spool_dir == OFF else SpoolFolder(Path(settings.spool_dir))

    def summary(self) -> SpoolSummary:
        if self._folder is None:
            return SpoolSummary()
        events = refused = size = left = 0
        oldest: list[int] = []
        unreadable: list[str] = []
        for path in sorted(self._folder.databases()):
            try:
                with _open(path) as database:
                    count, refused_here, oldest_here, size_here = database.execute(SUMMARY).fetchone()
            except sqlite3.Error:
                if path.exists():
                    unreadable.append(str(path))
                continue
            events, refused, size = events + count, refused + refused_here, size + size_here
            oldest += [] if oldest_here is None else [oldest_here]
            left += 0 if self._folder.is_live(path) else count
        set_aside = tuple(map(str, self._folder.set_aside()))
        return SpoolSummary(
            events, refused, size, _instant(min(oldest)) if oldest else None, left, set_aside, tuple(unreadable)
        )

    def events(self, limit: int) -> list[SpooledEvent]:
        """The oldest events of each database."""
        found: list[SpooledEvent] = []
        for path in self._folder.databases() if self._folder else ():
            with contextlib.suppress(sqlite3.Error), _open(path) as database:
                for event_id, event_type, received_at, size, refused in database.execute(EVENTS, (limit,)):
                    found.append(SpooledEvent(event_id, event_type, _instant(received_at), size, refused))
        return sorted(found, key=lambda event: event.received_at)[:limit]

    def retry_refused(self) -> None:
        """Let the processes offer refused events to the store again."""
        for path in self._folder.databases() if self._folder else ():
            with contextlib.suppress(sqlite3.Error), _open(path, writes=True) as database:
                database.execute("update events set refused = '' where refused != ''")


def flush(settings: Settings) -> Flushed:
    """Forward what dead processes have left. Running processes forward their own events as soon as the store is ready.

    Raises:
        StoreUnavailable: the store takes no events.
    """
    SpoolReader(settings).retry_refused()
    return asyncio.run(_flush(settings))


async def _flush(settings: Settings) -> Flushed:
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
        spool = Spool(settings, metrics, acceptor)
        spool.open()
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
def _open(path: Path, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    ) as database:
        if not writes:
            database.execute("pragma query_only = 1")
        yield database


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
