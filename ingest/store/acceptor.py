"""Writes events to the store: one script call for a whole batch. What the store does not take goes to the spool."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from surehook.ingest.difference_log import DifferenceLog
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.accept_script import (
    BACKLOG_FULL,
    RESULTS,
    AcceptResult,
    AcceptScript,
    ForwardResult,
    SpooledBatch,
    SpooledEvent,
    are_outcomes,
    known_type,
)
from surehook.ingest.store.batcher import Batcher, ReplyReceiver, fail
from surehook.ingest.store.connection import MIN_BYTES_PER_SECOND, ErrorReply, Replies, no_reply_within
from surehook.ingest.store.session import Session
from surehook.shared.envelope import Envelope
from surehook.shared.errors import BacklogFull, StoreError, StoreFull, StoreUnavailable
from surehook.shared.scripts import text
from surehook.shared.settings import Settings

FULL = ("OOM", "MISCONF")
LARGE_EVENT_BYTES = 1024 * 1024
LARGE_EVENTS_AT_ONCE = 4


class Pending(NamedTuple):
    """An event that waits to be stored, and the receiver of its outcome."""

    envelope: Envelope
    reply: ReplyReceiver

    @property
    def size(self) -> int:
        return len(self.envelope.body)


class Overflow(Protocol):
    """Takes the events that the store does not, and all new ones until those are forwarded."""

    def hold(self, error: StoreError) -> None: ...
    def put(self, pending: Pending, error: StoreError) -> None: ...


class Acceptor(Batcher[Pending]):
    """One per process. `accept` may be called once `run` has started."""

    max_batch = 256

    def __init__(self, settings: Settings, metrics: IngestMetrics) -> None:
        super().__init__(Session(settings, metrics), settings, settings.store_timeout)
        self._script = AcceptScript(settings)
        self._with_source = False  # the store does not know the script
        self._observe_size = metrics.batch_size.observe
        self.difference_log = DifferenceLog()
        self._is_stopping = False
        self.overflow: Overflow | None = None
        self.is_direct = True
        """False while new events go behind those that wait in the spool."""
        self._large_events = asyncio.Semaphore(LARGE_EVENTS_AT_ONCE)

    @property
    def is_ready(self) -> bool:
        return self.session.connection is not None and not self.session.is_refusing

    @property
    def is_busy(self) -> bool:
        """True while a batch is in flight or about to be sent."""
        return self._is_sending

    async def accept(self, envelope: Envelope) -> AcceptResult:
        """Store an event, or find that it is stored already. Returns after the fsync.

        Raises:
            StoreError: it is not known to be stored; the sender may send it again.
        """
        reply: asyncio.Future[AcceptResult] = asyncio.get_running_loop().create_future()
        pending = Pending(envelope, reply)
        if pending.size > LARGE_EVENT_BYTES:
            async with self._large_events:
                await self._put_large(pending)
        else:
            self.put(pending)
        return await reply

    def put(self, pending: Pending) -> None:
        """Store an event. Its reply receives what `accept` returns or raises.

        Raises:
            StoreUnavailable: it is not stored, and its reply receives nothing.
        """
        if self.is_direct and self.session.connection is not None:
            self.add(pending)
        else:
            self._divert(pending)

    def forward(self, events: Sequence[SpooledEvent], *, is_direct: bool) -> "asyncio.Future[list[ForwardResult]]":
        """Send events from the spool, over a connection that is there and not busy. The future may fail (StoreError).

        `is_direct`: these are all that wait, so that new events may be sent next.
        """
        connection = self.session.connection
        if connection is None:
            raise StoreUnavailable
        batch = SpooledBatch(events)
        self.is_direct, self._is_sending = is_direct, True
        packed = self._script.pack_spooled(batch)
        self._transmit(connection, (), packed, 2, lambda replies: self._on_forwarded(batch, replies))
        return batch.results

    async def wait_until_checked(self, at_most_seconds: float | None = None) -> None:
        """Wait until the store was checked for the first time, with any result."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_seconds):
                await self.session.was_checked.wait()

    async def run(self) -> None:
        """Work until `stop`."""
        await self.session.run()

    def stop(self) -> None:
        """Accept nothing more; events in flight still receive their outcome, then `run` ends."""
        self._is_stopping, self.is_direct = True, False
        self.session.stop()

    def _divert(self, pending: Pending) -> None:
        """Pass a new event to the spool. Raises StoreUnavailable if there is none."""
        if self.overflow is None or self._is_stopping or self.session.is_unusable:
            raise StoreUnavailable
        self.overflow.put(pending, StoreUnavailable())

    def _fail(self, items: Sequence[Pending], error: StoreError) -> None:
        """Pass events to the spool, with those behind them. Without a spool they fail."""
        if self.overflow is None or self.session.is_unusable:
            fail(items, error)
            return
        self.overflow.hold(error)
        waiting, self._waiting = self._waiting, []
        for pending in (*items, *waiting):
            if not pending.reply.done():
                self.overflow.put(pending, error)

    def _on_overdue(self, error: StoreUnavailable) -> None:
        super()._on_overdue(error)
        if self.overflow is None:
            self.session.pause(error)

    async def _put_large(self, pending: Pending) -> None:
        """Store a large event on a connection of its own: on the common one, all others would wait behind it."""
        if not self.is_direct:
            self._divert(pending)
            return
        seconds = self._timeout_seconds + pending.size / MIN_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(seconds):
                await self._store_alone(pending)
        except TimeoutError:
            self._fail([pending], StoreUnavailable(no_reply_within(seconds)))
        except StoreError as exc:
            self._fail([pending], exc)

    async def _store_alone(self, pending: Pending) -> None:
        connection = await self.session.open_another()
        try:
            packed, count = await asyncio.to_thread(self._script.pack, [pending.envelope], with_source=True)
            barrier, barrier_replies = self._barrier_for(len(packed))
            replies = await connection.send_and_wait(packed + barrier, count + barrier_replies)
            if error := self._error_in(replies[0], 1) or self._replication_error(replies):
                raise error
            self._distribute([pending], replies[0])
        finally:
            connection.abort()

    def _pack(self, batch: Sequence[Pending]) -> tuple[bytes, int]:
        with_source, self._with_source = self._with_source, False
        return self._script.pack([pending.envelope for pending in batch], with_source=with_source)

    def _on_replies(self, batch: list[Pending], replies: Replies) -> None:
        reply = replies[0]
        if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":
            # After a SCRIPT FLUSH the store no longer knows the script; it has executed nothing.
            self._with_source = True
            self._send_again(batch)
            self._send_next()
            return
        if error := self._error_in(reply, len(batch)) or self._replication_error(replies):
            self._fail(batch, error)
            self._send_next()
            return
        self._send_next()
        self._distribute(batch, reply)

    def _distribute(self, batch: list[Pending], outcomes: list[int | bytes]) -> None:
        self._last_error = ""
        self._observe_size(len(batch))
        for pending, outcome in zip(batch, outcomes, strict=True):
            if pending.reply.done():
                continue
            if isinstance(outcome, bytes):
                self._on_conflict(pending, outcome)
            elif outcome == BACKLOG_FULL:
                self._fail([pending], BacklogFull())
            else:
                pending.reply.set_result(RESULTS[outcome])

    def _on_conflict(self, pending: Pending, outcome: bytes) -> None:
        """Another event has the id; or its key in the store is none of ours."""
        if known := known_type(outcome):
            self.difference_log.add(pending.envelope, known)
            pending.reply.set_result(AcceptResult.DUPLICATE)
        else:
            self._fail([pending], StoreUnavailable(text(outcome)))

    def _on_forwarded(self, batch: SpooledBatch, replies: Replies | StoreUnavailable) -> None:
        self._on_done()
        error = replies if isinstance(replies, StoreUnavailable) else self._forward_error(batch, replies)
        results: list[ForwardResult] = []
        if not isinstance(replies, StoreUnavailable) and error is None:
            self._last_error = ""
            results = batch.results_of(replies[0], self.difference_log)
        if error or None in results:
            self.is_direct = False
            self._fail((), error or BacklogFull())
        self._send_next()
        batch.finish(error, results)

    def _forward_error(self, batch: SpooledBatch, replies: Replies) -> StoreError | None:
        if not batch.has_own_reply(replies):
            return self._misplaced_reply()
        return self._error_in(replies[0], len(batch.events)) or self._replication_error(replies)

    def _error_in(self, reply: Any, count: int) -> StoreError | None:
        if isinstance(reply, ErrorReply):
            self._log_error(reply, self._script.name)
            return StoreFull(reply.code) if reply.code in FULL else StoreUnavailable(reply.code)
        return None if are_outcomes(reply, count) else self._misplaced_reply()

    def _misplaced_reply(self) -> StoreUnavailable:
        error = StoreUnavailable("the store's reply does not belong to the command")
        self.session.invalidate(error)
        return error
