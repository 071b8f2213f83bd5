"""The heartbeat of an ingest process; it also recovers successes that were never confirmed.

A heartbeat with an empty list tells workers that no transactional types are configured here.
"""

import asyncio
import contextlib
import logging
import time

from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.ingest.store.session import Session
from surehook.shared.errors import StoreUnavailable
from surehook.shared.heartbeat import HEARTBEAT_SECONDS, INGEST, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import TransactionalTypes

log = logging.getLogger(__name__)

# The same value as in the workers.
DEAD_AFTER_MS = 10_000
RECOVER_BATCH = 100
LOG_EVERY_SECONDS = 30.0
MISSING_WORKERS_HINT = (
    "run `surehook worker` with transactional handlers and with the same SUREHOOK_TRANSACTIONAL_EVENTS as the endpoint"
)
SCRIPT_NAMES = ("heartbeat", "txn_recover", "deregister")


class Heartbeat:
    """Sends the heartbeats of one process, from `run` until `stop`."""

    def __init__(self, settings: Settings, session: Session, process: str, types: TransactionalTypes) -> None:
        self._batcher = ScriptBatcher(session, settings, SCRIPT_NAMES)
        self._message = HeartbeatMessage(INGEST, process, types)
        self._types = types
        self._stopped = asyncio.Event()
        self._log_after = 0.0

    async def run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(StoreUnavailable):
                await self._send()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._stopped.wait()
        with contextlib.suppress(StoreUnavailable):
            await self._batcher.call("deregister", *self._message.deregister)

    def stop(self) -> None:
        self._stopped.set()

    def log_missing_workers(self) -> None:
        """Log, at most every 30 seconds, what to do about missing workers; each refusal is logged elsewhere."""
        now = time.monotonic()
        if now < self._log_after:
            return
        self._log_after = now + LOG_EVERY_SECONDS
        log.error(
            "transactional workers missing",
            extra={"queue": TRANSACTIONAL_QUEUE, "ingest_has": str(self._types), "reason": MISSING_WORKERS_HINT},
        )

    async def _send(self) -> None:
        self._message.compare(texts(await self._batcher.call("heartbeat", *self._message.available)))
        orphans = int((await self._batcher.call("txn_recover", DEAD_AFTER_MS, RECOVER_BATCH))[0])
        if orphans:
            log.error("transactional effects orphaned", extra={"count": orphans})
