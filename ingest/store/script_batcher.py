"""Calls the scripts of transactional events and of the heartbeat, in batches on the endpoint's connection."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from surehook.ingest.store.batcher import Batcher, fail
from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, ErrorReply, Replies, no_reply_within, pack
from surehook.ingest.store.session import Session
from surehook.shared.errors import StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.scripts import Argument, Script
from surehook.shared.settings import Settings

LazyArgument = Callable[[], Argument]


class Call(NamedTuple):
    """One call of a script, and the future that waits for its reply."""

    script: Script
    args: Sequence[Argument | LazyArgument]
    packed: bytes
    reply: "asyncio.Future[Any]"
    with_source: bool = False
    """Send the script itself, to a store that does not know it."""

    @property
    def size(self) -> int:
        return len(self.packed)

    def packed_now(self) -> bytes:
        """The command with its computed arguments as they are at this moment."""
        if any(map(callable, self.args)):
            return _packed(self.script, self.args, with_source=self.with_source)
        return self.packed

    def with_script_source(self) -> "Call":
        return self._replace(packed=_packed(self.script, self.args, with_source=True), with_source=True)


class ScriptBatcher(Batcher[Call]):
    """Each reply arrives after the fsync of what the script wrote, because the store answers no earlier."""

    max_batch = 64  # fewer than of events: with more, no call is answered while the store works on the others

    def __init__(self, session: Session, settings: Settings, names: Sequence[str]) -> None:
        super().__init__(session, settings, REPLY_TIMEOUT_SECONDS)
        keys = Keys(settings.key_prefix)
        self._scripts = {name: Script(name, keys) for name in names}

    async def call(self, name: str, *args: Argument | LazyArgument) -> Any:
        """Run a script. An argument given as a function is computed when the call is sent, possibly a batch later.

        Raises:
            StoreUnavailable: it is unknown whether the script ran.
        """
        return await self.start(name, *args)

    def start(self, name: str, *args: Argument | LazyArgument) -> "asyncio.Future[Any]":
        """Add a call, in the order of these; the future of its reply may fail (StoreUnavailable)."""
        if self.is_overdue:
            raise StoreUnavailable(no_reply_within(REPLY_TIMEOUT_SECONDS))
        script = self._scripts[name]
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.add(Call(script, args, _packed(script, args), reply))
        return reply

    def post(self, name: str, *args: Argument | LazyArgument) -> None:
        """Add a call whose reply does not matter."""
        self.start(name, *args).add_done_callback(asyncio.Future.exception)

    def _pack(self, batch: Sequence[Call]) -> tuple[bytes, int]:
        return b"".join([call.packed_now() for call in batch]), len(batch)

    def _on_replies(self, batch: list[Call], replies: Replies) -> None:
        if error := self._replication_error(replies):
            self._send_next()
            fail(batch, error)
            return
        executed: list[tuple[Call, Any]] = []
        unknown: list[Call] = []
        for call, reply in zip(batch, replies, strict=False):
            if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":  # nothing was executed
                unknown.append(call.with_script_source())
            else:
                executed.append((call, reply))
        self._send_again(unknown)
        self._send_next()
        for call, reply in executed:
            if not call.reply.done():
                self._answer(call, reply)

    def _answer(self, call: Call, reply: Any) -> None:
        if isinstance(reply, ErrorReply):
            self._log_error(reply, call.script.name)
            call.reply.set_exception(StoreUnavailable(reply.code))
            return
        self._last_error = ""
        call.reply.set_result(reply)


def _packed(script: Script, args: Sequence[Argument | LazyArgument], *, with_source: bool = False) -> bytes:
    values = [each() if callable(each) else each for each in args]
    return pack(("EVAL", script.source, 0, *values) if with_source else script.command(values))
