"""Writes events to the store, one batch in flight at a time, and responds after the fsync.

Whatever arrives while a batch is in flight rides in the next one (group commit), so one fsync and one script call pay
for all of it, and a lone event does not wait. A store that is gone, slow, full or not durable is a refusal, never a
wait.
"""

import asyncio
import logging
from enum import Enum
from typing import Any, NamedTuple, Protocol

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.connection import Connection, ErrorReply, Replies, pack
from surehook.ingest.store.durability import missing_replicas, replication_barrier
from surehook.ingest.store.session import Session
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope
from surehook.shared.errors import BacklogFull, NotDurable, StoreError, StoreFull, StoreUnavailable
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings

log = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_BATCH_BYTES = 4 * 1024 * 1024
# The server is there, but no longer one that takes events: ask anew where the primary is.
NOT_PRIMARY = ("READONLY", "LOADING", "MASTERDOWN")
FULL = ("OOM", "MISCONF")


class Outcome(Enum):
    """The result of accepting an event, as the script replies it."""

    STORED = 1
    DUPLICATE = 0


OUTCOMES = (Outcome.DUPLICATE, Outcome.STORED)  # by the script's reply


class Receiver(Protocol):
    """Whoever waits: a future, or what is quicker than one. It raises nothing."""

    def done(self) -> bool: ...
    def set_result(self, outcome: Outcome, /) -> None: ...
    def set_exception(self, error: StoreError, /) -> None: ...


class Pending(NamedTuple):
    """An event, and who waits for what became of it."""

    envelope: Envelope
    reply: Receiver


Batch = list[Pending]


class Acceptor:
    """One per process. `accept` may be called once `run` is under way."""

    def __init__(self, settings: Settings, metrics: IngestMetrics) -> None:
        keys = Keys(settings.key_prefix)
        self._script = Script("accept", keys)
        self._cipher = BodyCipher(settings.encryption_keys)
        self._handler_timeout = f"{settings.handler_timeout:g}"
        self._max_backlog = settings.max_backlog
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._barrier = list(map(pack, replication_barrier(self._replicas, keys.fence))) if self._replicas else []
        self.session = Session(settings, metrics, self._fail_waiting)
        self._waiting: Batch = []
        self._is_due = False  # a batch is in flight, or about to be sent
        self._refusal: str | None = None
        self._is_stopping = False

    @property
    def is_ready(self) -> bool:
        return self.session.connection is not None

    async def accept(self, envelope: Envelope) -> Outcome:
        """Store an event, or find that it is stored already. Returns after the fsync.

        Raises:
            StoreUnavailable: it is not known to be stored; the sender may send it again.
            BacklogFull, StoreFull: it is not stored.
        """
        reply: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.put(Pending(envelope, reply))
        return await reply

    def put(self, waiting: Pending) -> None:
        """Store an event, and tell whoever waits what became of it: by an exception of `accept` or its result.

        Raises:
            StoreUnavailable: it is not taken, and nobody will be told.
        """
        if self._is_stopping or self.session.connection is None:
            raise StoreUnavailable
        self._waiting.append(waiting)
        if not self._is_due:
            # Not at once: what else came in this turn of the loop rides along.
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send_batch)

    async def wait_until_checked(self) -> None:
        """Until the store was asked for the first time, whatever it said."""
        await self.session.was_checked.wait()

    async def run(self) -> None:
        """Work until `stop`."""
        await self.session.run()

    def stop(self) -> None:
        """What is in flight is answered, nothing more is taken, and `run` ends."""
        self._is_stopping = True
        self.session.stop()

    def _send_batch(self) -> None:
        batch: Batch = []
        while self._waiting and not batch:
            batch = self._next_batch()
        self._is_due = bool(batch)
        if batch:
            self._send(batch, "EVALSHA", self._script.sha)

    def _next_batch(self) -> Batch:
        """The oldest that wait, as many as the store takes within the reply's timeout."""
        count = size = 0
        for waiting in self._waiting[:MAX_BATCH]:
            size += len(waiting.envelope.body)
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return [waiting for waiting in batch if not waiting.reply.done()]  # done: the sender hung up

    def _send(self, batch: Batch, verb: str, script: str | bytes) -> None:
        connection: Connection | None = self.session.connection
        if connection is None:
            self._on_replies(batch, StoreUnavailable("the connection is lost"))
            return
        command: list[Any] = [verb, script, 0]
        for waiting in batch:
            command += self._arguments(waiting.envelope)
        command.append(self._max_backlog)
        packed = pack(command)
        if self._barrier:  # rare, and a copy of the batch
            packed = b"".join([packed, *self._barrier])
        connection.send(packed, 1 + len(self._barrier), lambda replies: self._on_replies(batch, replies))

    def _arguments(self, envelope: Envelope) -> tuple[bytes | str, ...]:
        body, key_id = self._cipher.encrypt(envelope.body)  # nothing readable leaves this process
        return (
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_id,
            "webhook",
            body,
            EVENTS_QUEUE,
            self._handler_timeout,
            key_id,
        )

    def _on_replies(self, batch: Batch, replies: Replies | StoreUnavailable) -> None:
        """Settle a batch, after the next one is on its way: the store works while we answer."""
        reply, acknowledged = (replies, None) if isinstance(replies, StoreUnavailable) else (replies[0], replies[-1])
        if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":
            # After a SCRIPT FLUSH the store knows our scripts no more; nothing was run then.
            self._send(batch, "EVAL", self._script.source)
            return
        if not isinstance(reply, ErrorReply | StoreUnavailable) and not _is_expected(reply, len(batch)):
            reply = StoreUnavailable("the store replies to something else than it was asked")
            self.session.invalidate(reply)
        self._send_batch()
        if isinstance(reply, ErrorReply):
            _fail(batch, self._refusal_for(reply))
        elif isinstance(reply, StoreUnavailable):
            _fail(batch, reply)
        elif self._replicas and (missing := missing_replicas(acknowledged, self._replicas)):
            self.session.invalidate(NotDurable(missing))
            _fail(batch, StoreUnavailable(missing))
        else:
            self._refusal = None
            for waiting, outcome in zip(batch, reply, strict=True):
                if waiting.reply.done():
                    continue
                if outcome < 0:
                    waiting.reply.set_exception(BacklogFull())
                else:
                    waiting.reply.set_result(OUTCOMES[outcome])

    def _refusal_for(self, reply: ErrorReply) -> StoreError:
        """The store is there but takes no event (out of memory, a replica after a failover): one line, not a flood."""
        if reply.code != self._refusal:
            log.error("store refuses events", extra={"error_type": reply.code})
        self._refusal = reply.code
        if reply.code in NOT_PRIMARY:
            self.session.invalidate(StoreUnavailable(f"the store replies {reply.code}"))
        return StoreFull(reply.code) if reply.code in FULL else StoreUnavailable(reply.code)

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        _fail(waiting, StoreUnavailable("the store is not ready"))


def _is_expected(reply: Any, count: int) -> bool:
    return isinstance(reply, list) and len(reply) == count and set(map(type, reply)) == {int}


def _fail(batch: Batch, error: StoreError) -> None:
    for waiting in batch:
        if not waiting.reply.done():
            waiting.reply.set_exception(type(error)(*error.args))
