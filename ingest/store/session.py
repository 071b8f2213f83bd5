"""One connection to a store that was found durable; it reconnects by itself."""

import asyncio
import contextlib
import logging

from redis.exceptions import RedisError

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, Connection, open_connection
from surehook.ingest.store.durability import Durability
from surehook.ingest.store.sentinel import primary_address
from surehook.shared.errors import NotDurable, StoreUnavailable
from surehook.shared.settings import Settings
from surehook.shared.store import close_async, connect_async

log = logging.getLogger(__name__)

CHECK_EVERY_SECONDS = 5.0
RECHECK_SECONDS = 0.25
STORE_ERRORS = (RedisError, OSError, StoreUnavailable, NotDurable)


class Session:
    """One per process."""

    def __init__(self, settings: Settings, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        # Never used for events: it knows the way, and asks Sentinel.
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS)
        self._durability = Durability(settings)
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self.was_checked = asyncio.Event()
        self._reason: str | None = "not checked yet"
        self._logged = ""
        self._is_stopping = False

    @property
    def connection(self) -> Connection | None:
        """None unless the store is there and durable."""
        return None if self._reason else self._connection

    async def run(self) -> None:
        """Connect, check at start, after a loss until it is mended, and every few seconds. Ends after `stop`."""
        try:
            while not self._is_stopping:
                with contextlib.suppress(*STORE_ERRORS):
                    await self._check()
                self.was_checked.set()
                await self._pause()
        finally:
            self.was_checked.set()  # nobody need wait for what will not come
            self._is_stopping = True
            self.invalidate(StoreUnavailable("the intake has stopped"))
            await close_async(self._store)

    def stop(self) -> None:
        self._is_stopping = True
        self._lost.set()

    def invalidate(self, exc: Exception) -> None:
        """Accept nothing until the store was checked again. Commands in flight fail."""
        reason = "not_durable" if isinstance(exc, NotDurable) else "store_unavailable"
        message = str(exc) if isinstance(exc, NotDurable | StoreUnavailable) else reason
        # Of what is to be changed, the next thing when the first is done; the ways to be away are too many to tell.
        is_new = self._reason != reason or (isinstance(exc, NotDurable) and message != self._logged)
        if is_new and not self._is_stopping:
            log.error("store is not ready", extra={"reason": message, "error_type": type(exc).__name__})
        self._reason, self._logged = reason, message
        self._lost.set()
        self._metrics.set_not_ready(reason)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _pause(self) -> None:
        if self._reason is not None:
            if not self._is_stopping:
                await asyncio.sleep(RECHECK_SECONDS)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_EVERY_SECONDS):
                await self._lost.wait()

    async def _check(self) -> None:
        """Nothing is sent to a server whose promises were not read on that very connection."""
        if not self._is_stopping:
            self._lost.clear()
        connection = self._connection  # the same to the end: it may be lost, and `_connection` None, while we wait
        try:
            if connection is None or not connection.is_open:
                connection = self._connection = await open_connection(self._store, self._on_connection_lost)
            elif await self._has_primary_moved(connection):
                raise StoreUnavailable("Sentinel has made another server the primary")
            await self._durability.check(connection, self._store)
        except STORE_ERRORS as exc:
            self.invalidate(exc)
            raise
        if connection is not self._connection:
            return  # lost just now; whoever lost it has said why
        if self._reason is not None:
            log.info("store is ready")
        self._reason = None
        self._metrics.set_not_ready(None)

    async def _has_primary_moved(self, connection: Connection) -> bool:
        """An old primary that is cut off from the Sentinels may answer us still; what it takes will be thrown away."""
        try:
            address = await primary_address(self._store)
        except StoreUnavailable:  # no Sentinel answers: the primary may be fine all the same
            return False
        return address is not None and address != connection.address

    def _on_connection_lost(self) -> None:
        if self._connection is not None:
            self.invalidate(StoreUnavailable("the connection was lost"))
