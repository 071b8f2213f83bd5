"""Answers the events that the store does not take, once they are in a database on the local disk.

All that arrive during one write go into the next (group commit). While events wait here, new ones go behind them, so
that the store gets all in the order of their arrival.
"""

import asyncio
import logging
import sqlite3
import time
from typing import NamedTuple

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.spool.database import FULL
from surehook.ingest.spool.databases import Databases
from surehook.ingest.spool.forwarder import Forwarder
from surehook.ingest.spool.schema import Received
from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.store.acceptor import Acceptor, Pending
from surehook.shared.errors import BacklogFull, Misconfigured, SpoolFull, StoreError, StoreFull, StoreUnavailable
from surehook.shared.settings import OFF, Settings

log = logging.getLogger(__name__)

MAX_BATCH = 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
# FusionAuth waits 2 s: an event that is on no disk by then is refused.
ANSWER_WITHIN_SECONDS = 1.8
LEAST_PATIENCE_SECONDS = 0.3
FUSIONAUTH_WAITS_SECONDS = 2.0  # the read timeout in its documentation; each webhook has its own
LOOK_SECONDS = 0.1
FAILING_SECONDS = 5.0


def check_spool(settings: Settings) -> None:
    """Check that events can be spooled, before anything starts. A disk that is full or read-only is logged.

    Raises:
        Misconfigured: the folder cannot be used.
    """
    _warn_of_long_timeout(settings)
    is_replicated = settings.durability == "replicated"
    if settings.spool_dir == OFF:
        reason = "SUREHOOK_SPOOL_DIR is off: what the store does not take is refused"
        if is_replicated:
            reason = "SUREHOOK_DURABILITY=replicated: one local disk would be a weaker promise (SUREHOOK_SPOOL_DIR)"
        log.info("spool off", extra={"reason": reason})
        return
    if is_replicated:
        reason = "a spooled event is on one local disk only, less than SUREHOOK_DURABILITY=replicated promises"
        log.warning("spool weaker than the store", extra={"reason": reason})
    databases = Databases(settings)
    databases.open(adopts=False)
    databases.close()


def _warn_of_long_timeout(settings: Settings) -> None:
    seconds = settings.store_timeout
    if settings.spool_dir != OFF:
        seconds = max(ANSWER_WITHIN_SECONDS, seconds + LEAST_PATIENCE_SECONDS)
    if seconds >= FUSIONAUTH_WAITS_SECONDS:
        reason = (
            f"with SUREHOOK_STORE_TIMEOUT={settings.store_timeout:g} an event may be answered after {seconds:g} s, and "
            "FusionAuth waits 2 s unless the read timeout of its webhook is longer: lower it, or surehook doctor"
        )
        log.warning("store timeout long", extra={"reason": reason})


class Waiting(NamedTuple):
    """An event that waits to be written."""

    pending: Pending
    received_at: int  # milliseconds since 1970
    expires_at: float  # on the loop's clock


class Spool:
    """The spool of one process."""

    def __init__(
        self, settings: Settings, metrics: IngestMetrics, acceptor: Acceptor, *, of_any_store: bool = False
    ) -> None:
        self._acceptor = acceptor
        self._databases = Databases(settings, of_any_store=of_any_store)
        self._forwarder = Forwarder(self._databases, acceptor, metrics, lambda: bool(self._waiting or self._writing))
        self._patience_seconds = max(LEAST_PATIENCE_SECONDS, ANSWER_WITHIN_SECONDS - settings.store_timeout)
        self._waiting: list[Waiting] = []
        self._writing: list[Waiting] = []
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._failing_until = 0.0
        self._last_problem = ""

    @property
    def can_take(self) -> bool:
        """True if an event would be written now."""
        return self._forwarder.has_room and time.monotonic() >= self._failing_until

    @property
    def waiting(self) -> int:
        """The number of events that wait for the store."""
        return self._databases.waiting

    @property
    def problem(self) -> str:
        """Why the disk takes no events now, "" if it does."""
        return self._databases.problem

    def open(self) -> None:
        """Prepare the databases; what an earlier process left is forwarded first.

        Raises:
            Misconfigured: the folder cannot be used.
        """
        self._databases.open()
        self._acceptor.overflow = self
        if count := self._databases.waiting:
            self._forwarder.begin(f"{count} events were left by an earlier process")

    async def run(self) -> None:
        """Forward events until `stop`."""
        await self._forwarder.run()
        while self._writing:  # noqa: ASYNC110 - their senders still wait
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self._databases.close)

    def stop(self) -> None:
        self._acceptor.overflow = None
        self._forwarder.stop()

    def hold(self, error: StoreError) -> None:
        """Let new events come here, because the store does not take them."""
        self._forwarder.begin(_reason(error) or self._acceptor.session.problem)

    def put(self, pending: Pending, error: StoreError) -> None:
        """Write an event. Its reply receives SPOOLED or DUPLICATE, or a StoreError if it is not written in time."""
        self.hold(error)
        loop = asyncio.get_running_loop()
        self._waiting.append(Waiting(pending, int(time.time() * 1000), loop.time() + self._patience_seconds))
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._write_next)
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._expire)

    def _write_next(self) -> None:
        batch = self._next_batch()
        self._writing = batch
        self._is_scheduled = bool(batch)
        if not batch:
            self._forwarder.wake()
            return
        received = [Received(each.pending.envelope, each.received_at) for each in batch]
        writing = asyncio.ensure_future(self._databases.run(self._databases.append, received))
        writing.add_done_callback(self._on_written)

    def _next_batch(self) -> list[Waiting]:
        self._waiting = [each for each in self._waiting if not each.pending.reply.done()]
        count = size = 0
        for each in self._waiting[:MAX_BATCH]:
            size += each.pending.size
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _on_written(self, writing: "asyncio.Future[list[str | None]]") -> None:
        batch = self._writing
        try:
            outcomes = writing.result()
        except (sqlite3.Error, OSError, Misconfigured):
            self._failing_until = time.monotonic() + FAILING_SECONDS
            for each in batch:
                self._fail(each, SpoolFull("the spool cannot be written"))
        else:
            for each, outcome in zip(batch, outcomes, strict=True):
                self._answer(each, outcome)
        self._write_next()

    def _answer(self, each: Waiting, outcome: str | None) -> None:
        pending = each.pending
        if outcome == FULL:
            self._report_problem("SUREHOOK_SPOOL_MAX_BYTES is reached")
            self._fail(each, SpoolFull("the spool is full"))
            return
        if outcome is None:
            self._last_problem, self._failing_until = "", 0.0
        if pending.reply.done():
            return
        if outcome is not None and outcome != pending.envelope.event_type:
            self._acceptor.difference_log.add(pending.envelope, outcome)
        pending.reply.set_result(AcceptResult.SPOOLED if outcome is None else AcceptResult.DUPLICATE)

    def _expire(self) -> None:
        """Refuse the events that FusionAuth no longer waits for; those being written stay in the spool."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for each in (*self._writing, *self._waiting):
            if each.expires_at <= loop.time():
                self._fail(each, StoreUnavailable("neither store nor spool has written it in time"))
        if self._writing or self._waiting:
            self._timer = loop.call_later(LOOK_SECONDS, self._expire)

    def _fail(self, each: Waiting, error: StoreError) -> None:
        if not each.pending.reply.done():
            each.pending.reply.set_exception(error)

    def _report_problem(self, reason: str) -> None:
        """Log once, until an event was written again."""
        self._failing_until = time.monotonic() + FAILING_SECONDS
        if reason != self._last_problem:
            log.error("spool full", extra={"reason": reason})
        self._last_problem = reason


def _reason(error: StoreError) -> str:
    if isinstance(error, BacklogFull):
        return "SUREHOOK_MAX_BACKLOG is reached"
    if isinstance(error, StoreFull):
        return f"the store is full ({error})"
    return str(error)
