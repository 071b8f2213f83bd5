"""The scripts of transactions on the link: whatever is called while a batch is in flight rides in the next."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from surehook.ingest.store.connection import ErrorReply, Replies, pack
from surehook.ingest.store.durability import missing_replicas, replication_barrier
from surehook.ingest.store.session import Session
from surehook.shared.errors import NotDurable, StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.scripts import Argument, Script
from surehook.shared.settings import Settings

log = logging.getLogger(__name__)

MAX_BATCH = 64  # of more, some are answered while the store works on the others
MAX_BATCH_BYTES = 4 * 1024 * 1024
NOT_PRIMARY = ("READONLY", "LOADING", "MASTERDOWN")


Computed = Callable[[], Argument]


class Call(NamedTuple):
    """A script's call, and who waits for its reply."""

    script: Script
    args: Sequence[Argument | Computed]
    packed: bytes
    reply: "asyncio.Future[Any]"
    with_source: bool = False
    """Sent in full, to a store that does not know the script."""

    def repacked(self) -> "Call":
        """With what is computed as it is now."""
        return self._replace(packed=_packed(self.script, self.args, with_source=self.with_source))

    def packed_now(self) -> bytes:
        return self.repacked().packed if any(map(callable, self.args)) else self.packed


class Batcher:
    """Each reply comes after the fsync of what it tells, as the store answers nothing earlier."""

    def __init__(self, session: Session, settings: Settings, names: Sequence[str]) -> None:
        keys = Keys(settings.key_prefix)
        self._session = session
        self._scripts = {name: Script(name, keys) for name in names}
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._barrier = list(map(pack, replication_barrier(self._replicas, keys.fence))) if self._replicas else []
        self._waiting: list[Call] = []
        self._is_due = False  # a batch is in flight, or about to be sent
        self._refusal = ""

    async def call(self, name: str, *args: Argument | Computed) -> Any:
        """What is given as a function is computed when the call leaves, which may be a batch's reply later.

        Raises:
            StoreUnavailable: it is not known whether the script ran.
        """
        loop = asyncio.get_running_loop()
        script = self._scripts[name]
        reply: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(Call(script, args, _packed(script, args), reply))
        if not self._is_due:
            # Not at once: what else came in this turn of the loop rides along.
            self._is_due = True
            loop.call_soon(self._send_next)
        return await reply

    def _send_next(self) -> None:
        batch: list[Call] = []
        while self._waiting and not batch:
            batch = self._next_batch()
        self._is_due = bool(batch)
        if batch:
            self._send(batch)

    def _next_batch(self) -> list[Call]:
        """The oldest that wait, as many as the store takes within the reply's timeout."""
        count = size = 0
        for call in self._waiting[:MAX_BATCH]:
            size += len(call.packed)
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return [call for call in batch if not call.reply.done()]  # done: whoever called has given up

    def _send(self, batch: Sequence[Call]) -> None:
        connection = self._session.connection
        if connection is None:
            self._on_replies(batch, StoreUnavailable("the connection is lost"))
            return
        packed = b"".join([*(call.packed_now() for call in batch), *self._barrier])
        connection.send(packed, len(batch) + len(self._barrier), lambda replies: self._on_replies(batch, replies))

    def _on_replies(self, batch: Sequence[Call], replies: Replies | StoreUnavailable) -> None:
        """Answer a batch, after the next one is on its way."""
        if isinstance(replies, StoreUnavailable):
            replies = [replies] * len(batch)
        elif self._replicas and (missing := missing_replicas(replies[-1], self._replicas)):
            self._session.invalidate(NotDurable(missing))
            replies = [StoreUnavailable(missing)] * len(batch)
        answered: list[tuple[Call, Any]] = []
        retried: list[Call] = []
        for call, reply in zip(batch, replies, strict=False):
            if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":
                # The store does not know the script (yet, or any more), so nothing has run.
                retried.append(call._replace(with_source=True).repacked())
            else:
                answered.append((call, reply))
        self._waiting[:0] = retried
        self._send_next()
        for call, reply in answered:
            if not call.reply.done():
                self._answer(call, reply)

    def _answer(self, call: Call, reply: Any) -> None:
        if isinstance(reply, ErrorReply):
            self._report_refusal(reply)
            reply = StoreUnavailable(reply.code)
        if isinstance(reply, StoreUnavailable):
            call.reply.set_exception(type(reply)(*reply.args))
            return
        self._refusal = ""
        call.reply.set_result(reply)

    def _report_refusal(self, reply: ErrorReply) -> None:
        """The store is there but does not do it (out of memory, a replica after a failover): one line, not a flood."""
        if reply.code != self._refusal:
            log.error("store refuses transactions", extra={"error_type": reply.code})
        self._refusal = reply.code
        if reply.code in NOT_PRIMARY:
            self._session.invalidate(StoreUnavailable(f"the store replies {reply.code}"))


def _packed(script: Script, args: Sequence[Argument | Computed], *, with_source: bool = False) -> bytes:
    values = [each() if callable(each) else each for each in args]
    return pack(("EVAL", script.source, 0, *values) if with_source else script.command(values))
