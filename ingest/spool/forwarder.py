"""Gives spooled events to the store, oldest first, and deletes those that it has on its disk."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.spool.database import Database
from surehook.ingest.spool.databases import Databases
from surehook.ingest.spool.schema import Row
from surehook.ingest.store.accept_script import AcceptResult, ForwardResult
from surehook.ingest.store.acceptor import Acceptor
from surehook.shared.errors import Misconfigured, StoreError

log = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_BATCH_BYTES = 4 * 1024 * 1024
RETRY_SECONDS = 0.25
REPORT_SECONDS = 1.0
ADOPT_SECONDS = 5.0


class Forwarder:
    """One per process. `is_writing` says whether events are about to be written to the spool."""

    def __init__(
        self, databases: Databases, acceptor: Acceptor, metrics: IngestMetrics, is_writing: Callable[[], bool]
    ) -> None:
        self._databases = databases
        self._acceptor = acceptor
        self._metrics = metrics
        self._is_writing = is_writing
        self._wake, self._stopped = asyncio.Event(), asyncio.Event()
        self._reply: asyncio.Future[list[ForwardResult]] | None = None
        self._is_stopping = False
        self._is_active = False
        self._batch_size = MAX_BATCH
        self.has_room = True
        self._began_at = self._report_at = self._adopt_at = 0.0
        self._forwarded = self._duplicates = 0
        self._problem = ""
        self._reason = self._futile_reason = ""
        self._is_logged = False

    def begin(self, reason: str) -> None:
        """Keep new events away from the store, until all that waits in the spool is forwarded."""
        self._acceptor.is_direct = False
        if self._is_active:
            return
        self._is_active = True
        self._began_at = time.monotonic()
        self._forwarded = self._duplicates = 0
        self._is_logged = reason != self._futile_reason
        self._reason = reason
        if self._is_logged:
            log.warning("spooling started", extra={"reason": reason})
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._wake.set()
        self._stopped.set()
        if self._reply is not None:
            self._reply.cancel()

    async def run(self) -> None:
        """Forward until `stop`; what is left then stays for the next process."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                await self._look_around()
                is_going_on = await self._forward_batch()
                self._problem = ""
            except (sqlite3.Error, OSError, Misconfigured) as exc:
                self._report_problem(str(exc))
                is_going_on = False
            if not is_going_on:
                await self._pause()
        if count := self._databases.waiting:
            log.warning("spooled events left for the next process", extra={"count": count})

    async def _pause(self) -> None:
        """Wait for events; while the store takes none, for a moment."""
        waited_for, seconds = self._wake, REPORT_SECONDS
        if self._databases.waiting:
            waited_for, seconds = self._stopped, RETRY_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await waited_for.wait()

    async def _forward_batch(self) -> bool:
        """Forward the oldest events. Returns False if there is nothing to do, or the store takes none."""
        database = self._databases.first()
        if database is None:
            return await self._end()
        if not self._can_send():
            return False
        limits = self._batch_size, MAX_BATCH_BYTES
        rows = await self._databases.run(self._databases.use, database, database.oldest, *limits)
        if not rows or not self._can_send():
            return not rows  # damaged events or a damaged database, set aside
        is_all = len(rows) == database.waiting and not self._is_writing() and not self._databases.has_others(database)
        self._reply = self._acceptor.forward([row.event for row in rows], is_direct=is_all)
        try:
            results = await self._reply
        except StoreError:
            # A store that is too slow for a batch, or behind a slow network, may be fast enough for a smaller one.
            self._batch_size = max(1, len(rows) // 2)
            return False
        except asyncio.CancelledError:
            if self._is_stopping:
                return False
            raise
        self._batch_size = min(MAX_BATCH, 2 * self._batch_size)
        await self._settle(database, rows, results)
        return None not in results

    def _can_send(self) -> bool:
        return not self._acceptor.is_busy and self._acceptor.session.connection is not None

    async def _settle(self, database: Database, rows: list[Row], results: list[ForwardResult]) -> None:
        """Delete what the store has, and set aside what it refuses."""
        stored: list[int] = []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, str):
                refused = (row.position, row.event.event_id, result)
                await self._databases.run(self._databases.use, database, database.refuse, *refused)
            elif result is not None:
                stored.append(row.position)
                self._duplicates += result is AcceptResult.DUPLICATE
        self._forwarded += len(stored)
        await self._databases.run(self._databases.use, database, database.remove, stored)

    async def _end(self) -> bool:
        """Let new events go to the store directly, if nothing waits any more."""
        is_free = self._acceptor.is_direct or not self._acceptor.is_busy
        if not self._is_active or self._is_writing() or not is_free:
            return False
        self._is_active = False
        self._acceptor.is_direct = True
        elapsed_ms = round((time.monotonic() - self._began_at) * 1000)
        facts = {"count": self._forwarded, "duplicates": self._duplicates, "elapsed_ms": elapsed_ms}
        # A full spool starts with each event and ends without one: the same reason is logged once.
        self._futile_reason = "" if self._forwarded else self._reason
        if self._is_logged:
            log.info("spooling ended", extra=facts)
        await self._databases.run(self._databases.tidy)
        await self._report()
        return False

    async def _look_around(self) -> None:
        """Now and then, set the metrics and adopt what processes left that have died since."""
        now = time.monotonic()
        if now >= self._adopt_at:
            self._adopt_at = now + ADOPT_SECONDS
            if count := await self._databases.run(self._databases.adopt):
                self.begin(f"{count} events were left by a dead process")
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            await self._report()

    async def _report(self) -> None:
        spooled = await self._databases.run(self._databases.spooled)
        self.has_room = spooled.has_room
        age = 0.0 if spooled.oldest_at is None else max(0.0, time.time() - spooled.oldest_at / 1000)
        self._metrics.set_spooled(
            spooled.events, spooled.bytes, age, spooled.set_aside, is_writable=spooled.is_writable
        )

    def _report_problem(self, reason: str) -> None:
        if reason != self._problem:
            log.error("spool not readable", extra={"reason": reason})
        self._problem = reason
