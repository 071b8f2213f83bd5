"""Writes events to the store: one script call for a whole batch, answered after the fsync."""

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from surehook.ingest.difference_log import DifferenceLog
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.batcher import Batcher, ReplyReceiver, fail
from surehook.ingest.store.connection import ErrorReply, Replies, pack
from surehook.ingest.store.session import Session
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope
from surehook.shared.errors import BacklogFull, StoreError, StoreFull, StoreUnavailable
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text
from surehook.shared.settings import Settings

FULL = ("OOM", "MISCONF")


class AcceptResult(Enum):
    """The result of accepting an event, as the script replies it."""

    STORED = 1
    DUPLICATE = 0


RESULTS = (AcceptResult.DUPLICATE, AcceptResult.STORED)  # by the script's reply
LARGE_EVENT_BYTES = 1024 * 1024
LARGE_EVENTS_AT_ONCE = 4
KNOWN = b"known "  # before the type of the event that has the id, if it is another one


class Pending(NamedTuple):
    """An event that waits to be stored, and the receiver of its outcome."""

    envelope: Envelope
    reply: ReplyReceiver

    @property
    def size(self) -> int:
        return len(self.envelope.body)


class Acceptor(Batcher[Pending]):
    """One per process. `accept` may be called once `run` has started."""

    max_batch = 256

    def __init__(self, settings: Settings, metrics: IngestMetrics) -> None:
        super().__init__(Session(settings, metrics), settings, settings.store_timeout)
        self._script = Script("accept", Keys(settings.key_prefix))
        self._cipher = BodyCipher(settings.encryption_keys)
        self._handler_timeout = f"{settings.handler_timeout:g}"
        self._max_backlog = settings.max_backlog
        self._with_source = False  # the store does not know the script
        self._difference_log = DifferenceLog()
        self._is_stopping = False
        self._large_events = asyncio.Semaphore(LARGE_EVENTS_AT_ONCE)

    @property
    def is_ready(self) -> bool:
        return self.session.connection is not None and not self.session.is_refusing

    async def accept(self, envelope: Envelope) -> AcceptResult:
        """Store an event, or find that it is stored already. Returns after the fsync.

        Raises:
            StoreUnavailable: it is not known to be stored; the sender may send it again.
            BacklogFull, StoreFull: it is not stored.
        """
        reply: asyncio.Future[AcceptResult] = asyncio.get_running_loop().create_future()
        pending = Pending(envelope, reply)
        if pending.size > LARGE_EVENT_BYTES:
            async with self._large_events:
                await self._store_alone(pending)
        else:
            self.put(pending)
        return await reply

    def put(self, pending: Pending) -> None:
        """Store an event. Its reply receives what `accept` returns or raises.

        Raises:
            StoreUnavailable: it is not stored, and its reply receives nothing.
        """
        if self._is_stopping or self.session.connection is None:
            raise StoreUnavailable
        self.add(pending)

    async def _store_alone(self, pending: Pending) -> None:
        """Store a large event on a connection of its own: on the common one, all others would wait behind it."""
        if self._is_stopping:
            raise StoreUnavailable
        connection = await self.session.open_another()
        try:
            packed = await asyncio.to_thread(self._pack_events, [pending], with_source=True)
            barrier, barrier_replies = self._barrier_for(len(packed))
            replies = await connection.send_and_wait(packed + barrier, 1 + barrier_replies)
            error = self._error_in(replies[0], 1) or self._replication_error(replies)
            self._distribute([pending], replies[0], error)
        finally:
            connection.abort()

    async def wait_until_checked(self) -> None:
        """Wait until the store was checked for the first time, with any result."""
        await self.session.was_checked.wait()

    async def run(self) -> None:
        """Work until `stop`."""
        await self.session.run()

    def stop(self) -> None:
        """Accept nothing more; events in flight still receive their outcome, then `run` ends."""
        self._is_stopping = True
        self.session.stop()

    def _on_overdue(self, error: StoreUnavailable) -> None:
        super()._on_overdue(error)
        self.session.pause(error)

    def _pack(self, batch: Sequence[Pending]) -> tuple[bytes, int]:
        with_source, self._with_source = self._with_source, False
        return self._pack_events(batch, with_source=with_source), 1

    def _pack_events(self, batch: Sequence[Pending], *, with_source: bool) -> bytes:
        command: list[Any] = ["EVAL", self._script.source, 0] if with_source else ["EVALSHA", self._script.sha, 0]
        for pending in batch:
            command += self._arguments(pending.envelope)
        command.append(self._max_backlog)
        return pack(command)

    def _arguments(self, envelope: Envelope) -> tuple[bytes | str, ...]:
        body, key_id = self._cipher.encrypt(envelope.body)  # nothing readable leaves this process
        return (
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_ids,
            "webhook",
            body,
            EVENTS_QUEUE,
            self._handler_timeout,
            key_id,
        )

    def _on_replies(self, batch: list[Pending], replies: Replies) -> None:
        reply = replies[0]
        if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":
            # After a SCRIPT FLUSH the store no longer knows the script; it has executed nothing.
            self._with_source = True
            self._send_again(batch)
            self._send_next()
            return
        error = self._error_in(reply, len(batch)) or self._replication_error(replies)
        self._send_next()
        self._distribute(batch, reply, error)

    def _distribute(self, batch: list[Pending], reply: Any, error: StoreError | None) -> None:
        if error:
            fail(batch, error)
            return
        self._last_error = ""
        for pending, outcome in zip(batch, reply, strict=True):
            if pending.reply.done():
                continue
            if type(outcome) is bytes:
                self._difference_log.add(pending.envelope, text(outcome.removeprefix(KNOWN)))
                pending.reply.set_result(AcceptResult.DUPLICATE)
            elif outcome < 0:
                pending.reply.set_exception(BacklogFull())
            else:
                pending.reply.set_result(RESULTS[outcome])

    def _error_in(self, reply: Any, count: int) -> StoreError | None:
        if isinstance(reply, ErrorReply):
            self._log_error(reply, self._script.name)
            return StoreFull(reply.code) if reply.code in FULL else StoreUnavailable(reply.code)
        if (
            isinstance(reply, list)
            and len(reply) == count
            and (set(map(type, reply)) == {int} or all(map(_is_outcome, reply)))
        ):
            return None
        error = StoreUnavailable("the store's reply does not belong to the command")
        self.session.invalidate(error)
        return error


def _is_outcome(reply: Any) -> bool:
    return type(reply) is int or (type(reply) is bytes and reply.startswith(KNOWN))
