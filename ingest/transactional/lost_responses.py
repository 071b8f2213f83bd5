"""Looks for successes that were confirmed without a response that says so: each is counted, logged and listed.

The store may have confirmed a success whose reply did not arrive in time, so that the response was an error; or the
sender had gone before its response. Only the store knows, so this asks it until it replies.
"""

import asyncio
import contextlib
import logging

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.shared.errors import StoreUnavailable
from surehook.shared.scripts import text

log = logging.getLogger(__name__)

ASK_EVERY_SECONDS = 0.5
MOMENT_SECONDS = 0.1


class LostResponses:
    """The unclear responses of one process, from `run` until `stop`."""

    def __init__(self, batcher: ScriptBatcher, metrics: IngestMetrics, *, retention_seconds: int) -> None:
        self._batcher = batcher
        self._retention_seconds = retention_seconds
        self._metrics = metrics
        self._unclear: dict[tuple[str, str], str] = {}
        self._has_more = asyncio.Event()
        self._is_stopping = False

    def add(self, event_id: str, round_id: str, reason: str) -> None:
        """Find out if this round was confirmed, and report that as a lost response."""
        self._unclear[event_id, round_id] = reason
        self._has_more.set()

    async def add_and_ask(self, event_id: str, round_id: str, reason: str) -> None:
        """Like `add`, and ask at once, for a moment."""
        self.add(event_id, round_id, reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_SECONDS):
                await self._ask()

    async def run(self) -> None:
        while not self._is_stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_EVERY_SECONDS if self._unclear else None):
                    await self._has_more.wait()
            self._has_more.clear()
            await self._ask()

    def stop(self) -> None:
        self._is_stopping = True
        self._has_more.set()

    async def _ask(self) -> None:
        for (event_id, round_id), reason in list(self._unclear.items()):
            try:
                found = text(await self._batcher.call("txn_lost", event_id, round_id, self._retention_seconds))
            except StoreUnavailable:
                return
            if found == "pending":
                continue
            is_new = self._unclear.pop((event_id, round_id), None) is not None
            if is_new and found == "listed":
                self._metrics.responses_lost.inc()
                log.error("response lost", extra={"event_id": event_id, "reason": reason})
