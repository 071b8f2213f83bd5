"""Keeps one connection to the store, offers it only while the store is durable, and reconnects when it is lost."""

import asyncio
import contextlib
import logging
import time

from redis.exceptions import RedisError

from surehook.ingest.metrics import INCOMPATIBLE_STORE, NOT_DURABLE, STORE_REFUSES, STORE_UNAVAILABLE, IngestMetrics
from surehook.ingest.store.connection import (
    REPLY_TIMEOUT_SECONDS,
    Connection,
    ErrorReply,
    open_connection,
    unavailable,
)
from surehook.ingest.store.durability import Durability
from surehook.ingest.store.sentinel import primary_address
from surehook.shared.errors import IncompatibleStore, NotDurable, StoreRefused, StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import close_async, connect_async
from surehook.shared.store_format import CLUSTER, StoreFormat, is_cluster

log = logging.getLogger(__name__)

CHECK_EVERY_SECONDS = 5.0
RECHECK_SECONDS = 0.25
REFUSING_SECONDS = 10.0
STORE_ERRORS = (RedisError, OSError, StoreUnavailable, NotDurable, IncompatibleStore)


class Session:
    """The store connection of one process."""

    def __init__(self, settings: Settings, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        # Provides address, login and Sentinels; events go through `connection`.
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS)
        self._durability = Durability(settings)
        self._format, self._format_key = StoreFormat(), Keys(settings.key_prefix).store_format
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self.was_checked = asyncio.Event()
        self._reason: str | None = "not checked yet"
        self._logged = "it was not checked yet"
        self._refusing_until = 0.0
        self._is_stopping = False

    @property
    def connection(self) -> Connection | None:
        """The connection; None unless the store is reachable and durable."""
        return None if self._reason else self._connection

    @property
    def problem(self) -> str:
        """Why there is no connection; "" if there is one."""
        return self._logged if self._reason else ""

    @property
    def is_unusable(self) -> bool:
        """True for a server that no later attempt makes usable: a cluster, or a newer version's store."""
        return self._reason == INCOMPATIBLE_STORE

    @property
    def is_refusing(self) -> bool:
        """True for some time after the store refused a command for a reason that a retry does not cure."""
        return time.monotonic() < self._refusing_until

    def mark_refusing(self) -> None:
        self._refusing_until = time.monotonic() + REFUSING_SECONDS
        self._metrics.set_not_ready(STORE_REFUSES)

    async def run(self) -> None:
        """Connect and check: at the start, every few seconds, and after a loss until it succeeds. Ends after `stop`."""
        try:
            while not self._is_stopping:
                with contextlib.suppress(*STORE_ERRORS):
                    await self._check()
                self.was_checked.set()
                await self._pause()
        finally:
            self.was_checked.set()  # releases waiters although no check will follow
            self._is_stopping = True
            self.invalidate(StoreUnavailable("the endpoint has stopped"))
            await close_async(self._store)

    def stop(self) -> None:
        self._is_stopping = True
        self._lost.set()

    def invalidate(self, exc: Exception) -> None:
        """Accept nothing until the store was checked again. Commands in flight fail."""
        self.pause(exc)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def pause(self, exc: Exception) -> None:
        """Accept nothing until the store was checked again, and keep the connection: replies may come late."""
        reason = _reason_of(exc)
        message = str(exc) if isinstance(exc, NotDurable | StoreUnavailable | IncompatibleStore) else reason
        # A problem that the operator has to solve is logged again when it changes; an outage is logged once.
        is_new = self._reason != reason or (reason != STORE_UNAVAILABLE and message != self._logged)
        if is_new and not self._is_stopping:
            log.error("store not ready", extra={"reason": message, "error_type": type(exc).__name__})
        self._reason, self._logged = reason, message
        self._lost.set()
        self._metrics.set_not_ready(reason)

    async def open_another(self) -> Connection:
        """Open another connection to the store in use, and check it like the first. The caller closes it.

        Raises:
            StoreUnavailable, NotDurable: no event may be sent to it.
        """
        current = self.connection
        if current is None:
            raise StoreUnavailable
        connection = await open_connection(self._store, lambda: None, current.address)
        try:
            await self._durability.check(connection, self._store)
        except (RedisError, OSError) as exc:
            connection.abort()
            raise StoreUnavailable from exc
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _pause(self) -> None:
        if self._reason is not None:
            if not self._is_stopping:
                await asyncio.sleep(RECHECK_SECONDS)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_EVERY_SECONDS):
                await self._lost.wait()

    async def _check(self) -> None:
        """Check the store on the connection that events will use, so that no event reaches an unchecked server."""
        if not self._is_stopping:
            self._lost.clear()
        connection = self._connection  # kept here, as `_connection` becomes None when it is lost
        try:
            if connection is None or not connection.is_open:
                connection = self._connection = await open_connection(self._store, self._on_connection_lost)
            elif await self._has_primary_moved(connection):
                raise StoreUnavailable("Sentinel has made another server the primary")
            await require_no_cluster(connection)
            await self._check_format(connection)
            await self._durability.check(connection, self._store)
        except STORE_ERRORS as exc:
            self.invalidate(exc)
            raise
        if connection is not self._connection:
            return  # lost in the meantime, and logged
        if self._reason is not None:
            log.info("store ready")
        self._reason = None
        self._metrics.set_not_ready(STORE_REFUSES if self.is_refusing else None)

    async def _check_format(self, connection: Connection) -> None:
        (stored,) = await connection.call(("GET", self._format_key))
        if isinstance(stored, ErrorReply):
            raise unavailable(stored, "GET")
        if self._format.must_be_written(stored):
            await connection.call(("SET", self._format_key, self._format.newest))

    async def _has_primary_moved(self, connection: Connection) -> bool:
        """True after a failover: an old primary that is cut off may still answer, but loses what it accepts."""
        try:
            address = await primary_address(self._store)
        except StoreUnavailable:  # the primary may be fine without Sentinels
            return False
        return address is not None and address != connection.address

    def _on_connection_lost(self) -> None:
        if self._connection is not None:
            self.invalidate(StoreUnavailable(self._connection.loss))


async def require_no_cluster(connection: Connection) -> None:
    """
    Raises:
        IncompatibleStore: the server is part of a cluster.
    """
    (found,) = await connection.call(("INFO", "cluster"))
    if is_cluster(found):
        raise IncompatibleStore(CLUSTER)


def _reason_of(exc: Exception) -> str:
    if isinstance(exc, NotDurable):
        return NOT_DURABLE
    if isinstance(exc, IncompatibleStore):
        return INCOMPATIBLE_STORE
    return STORE_REFUSES if isinstance(exc, StoreRefused) else STORE_UNAVAILABLE
