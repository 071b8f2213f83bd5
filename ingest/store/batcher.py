"""Sends commands to the store in batches, one batch in flight at a time (group commit).

Items that arrive while a batch is in flight go into the next one, so that one fsync covers all of them. A lone item
does not wait. When the store is unavailable, slow or full, or replies unexpectedly, items fail instead of waiting.

A batch without a reply in time is overdue: its items fail, and those behind it. The connection stays, because the reply
may come late; until then nothing more is sent.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from surehook.ingest.store.connection import (
    MIN_BYTES_PER_SECOND,
    Connection,
    ErrorReply,
    OnReplies,
    Replies,
    no_reply_within,
    pack,
)
from surehook.ingest.store.durability import missing_replicas, replication_barrier
from surehook.ingest.store.session import Session
from surehook.shared.errors import NotDurable, StoreError, StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store_errors import advice

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 4 * 1024 * 1024


class ReplyReceiver(Protocol):
    """Receives the outcome of one item: a future, or something cheaper. Its methods raise nothing."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, error: StoreError, /) -> None: ...


class Item(Protocol):
    """One entry of a batch."""

    @property
    def reply(self) -> ReplyReceiver: ...
    @property
    def size(self) -> int: ...


ItemT = TypeVar("ItemT", bound=Item)


class Batcher(ABC, Generic[ItemT]):
    """Collects items and sends them; a subclass packs a batch into commands and distributes the replies."""

    max_batch: ClassVar[int]

    def __init__(self, session: Session, settings: Settings, timeout_seconds: float) -> None:
        self.session = session
        self._timeout_seconds = timeout_seconds
        self.is_overdue = False
        self._in_flight: Sequence[ItemT] | None = None
        self._overdue_at = 0.0
        self._timer: asyncio.TimerHandle | None = None  # one for all batches; a timer for each would slow them down
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._barrier_key = Keys(settings.key_prefix).barrier
        self._barrier, self._barrier_replies = self._barrier_for(0)
        self._waiting: list[ItemT] = []
        self._is_sending = False  # a batch is in flight or about to be sent
        self._last_error = ""

    def _barrier_for(self, size: int) -> tuple[bytes, int]:
        """The commands that wait for the replicas after a write of `size` bytes, and the number of their replies."""
        if not self._replicas:
            return b"", 0
        more_ms = int(size / MIN_BYTES_PER_SECOND * 1000 / 2)
        barrier = replication_barrier(self._replicas, self._barrier_key, more_ms)
        return b"".join(map(pack, barrier)), len(barrier)

    def add(self, item: ItemT) -> None:
        self._waiting.append(item)
        if not self._is_sending:
            # Deferred, so that items added in the same iteration of the event loop share the batch.
            self._is_sending = True
            asyncio.get_running_loop().call_soon(self._send_next)

    @abstractmethod
    def _pack(self, batch: Sequence[ItemT]) -> tuple[bytes, int]:
        """The commands for a batch, and the number of replies to them."""

    @abstractmethod
    def _on_replies(self, batch: list[ItemT], replies: Replies) -> None:
        """Distribute the replies, after `_send_next`, so that the store works at the same time."""

    def _send_next(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            if batch and self._send(batch):
                return
        self._is_sending = False

    def _send(self, batch: list[ItemT]) -> bool:
        """Sends a batch. If that is not possible, its items fail."""
        connection = self.session.connection
        if connection is None or not connection.is_open:
            self._fail(batch, StoreUnavailable("the connection is lost"))
            return False
        try:
            packed, count = self._pack(batch)
        except Exception as exc:  # out of memory, for one: later batches must not wait for this one
            log.exception("deliveries not sent to the store")
            self._fail(batch, StoreUnavailable(type(exc).__name__))
            return False
        self._transmit(connection, batch, packed, count, lambda replies: self._on_reply_or_error(batch, replies))
        return True

    def _transmit(
        self, connection: Connection, batch: Sequence[ItemT], packed: bytes, count: int, on_replies: OnReplies
    ) -> None:
        if self._barrier:  # rare, and it copies the batch
            packed += self._barrier
        loop = asyncio.get_running_loop()
        self._in_flight = batch
        self._overdue_at = loop.time() + self._timeout_seconds + len(packed) / MIN_BYTES_PER_SECOND
        if self._timer is None:
            self._timer = loop.call_at(self._overdue_at, self._check_overdue)
        connection.send(packed, count + self._barrier_replies, on_replies)

    def _check_overdue(self) -> None:
        self._timer = None
        if self._in_flight is None:
            return
        loop = asyncio.get_running_loop()
        if self._overdue_at <= loop.time():
            self._on_overdue(StoreUnavailable(no_reply_within(self._timeout_seconds)))
        else:
            self._timer = loop.call_at(self._overdue_at, self._check_overdue)

    def _on_overdue(self, error: StoreUnavailable) -> None:
        self.is_overdue = True
        items = [*(self._in_flight or ()), *self._waiting]
        self._waiting = []
        self._fail(items, error)

    def _on_done(self) -> None:
        """The batch in flight has a reply or an error, in time or late."""
        self._in_flight, self.is_overdue = None, False

    def _fail(self, items: Sequence[ItemT], error: StoreError) -> None:
        """Report an error to the receivers."""
        fail(items, error)

    def _next_batch(self) -> list[ItemT]:
        """The oldest items, as many as the store handles within the reply timeout."""
        count = size = 0
        for item in self._waiting[: self.max_batch]:
            size += item.size
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return [item for item in batch if not item.reply.done()]  # done: the caller no longer waits

    def _on_reply_or_error(self, batch: list[ItemT], replies: Replies | StoreUnavailable) -> None:
        self._on_done()
        if isinstance(replies, StoreUnavailable):
            self._fail(batch, replies)
            self._send_next()
        else:
            self._on_replies(batch, replies)

    def _send_again(self, items: Sequence[ItemT]) -> None:
        """Put items that were not executed at the head of the next batch."""
        self._waiting[:0] = items

    def _replication_error(self, replies: Replies) -> StoreUnavailable | None:
        """The error if too few replicas acknowledged the batch; new items are then refused until the next check."""
        if self._replicas and (missing := missing_replicas(replies[-1], self._replicas)):
            self.session.invalidate(NotDurable(missing))
            return StoreUnavailable(missing)
        return None

    def _log_error(self, reply: ErrorReply, script: str) -> None:
        """Log that the store refuses a command (out of memory, a replica after a failover), once for each cause."""
        fault = reply.fault
        if fault.code != self._last_error:
            log.error("store refuses commands", extra={"error_type": fault.code, "reason": advice(fault, script)})
        self._last_error = fault.code
        if fault.ends_connection:  # find out where the primary is now
            self.session.invalidate(StoreUnavailable(f"the store replies {fault.code}"))
        elif fault.is_lasting:
            self.session.mark_refusing()


def fail(items: Iterable[Item], error: StoreError) -> None:
    """Give each item an exception of its own: one shared by many would collect the traceback of each."""
    for item in items:
        if not item.reply.done():
            item.reply.set_exception(type(error)(*error.args))
