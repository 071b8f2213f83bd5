"""Calls the scripts of transactional events and of the heartbeat, in batches on the endpoint's connection.

Events that are submitted or confirmed in the same batch share one call of their script.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from surehook.ingest.store.batcher import Batcher, fail
from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, ErrorReply, Replies, no_reply_within, pack
from surehook.ingest.store.session import Session
from surehook.shared.errors import StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.scripts import Argument, Script
from surehook.shared.settings import Settings

# These take many items in one call: arguments common to all, then those of each item. They return a list of replies.
TAKES_MANY = ("txn_submit", "txn_confirm")
LazyArgument = Callable[[], Argument]
REFUSED = b"refused "  # before the code of the error that one of several items alone caused


class Call(NamedTuple):
    """One call of a script, and the future that waits for its reply."""

    script: Script
    args: Sequence[Argument | LazyArgument]
    reply: "asyncio.Future[Any]"
    with_source: bool = False
    """Send the script itself, to a store that does not know it."""
    common: Sequence[Argument] = ()
    """For a script that takes many items: the arguments before those of the items."""

    @property
    def is_item(self) -> bool:
        return self.script.name in TAKES_MANY

    @property
    def size(self) -> int:
        return sum(len(each) for each in self.args if isinstance(each, bytes | str))


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

    def start(
        self, name: str, *args: Argument | LazyArgument, common: Sequence[Argument] = ()
    ) -> "asyncio.Future[Any]":
        """Add a call, in the order of these; the future of its reply may fail (StoreUnavailable).

        The items of a batch for a script that takes many leave in one call, behind the arguments `common`. One that the
        store refuses fails alone.
        """
        if self.is_overdue:
            raise StoreUnavailable(no_reply_within(REPLY_TIMEOUT_SECONDS))
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.add(Call(self._scripts[name], args, reply, common=common))
        return reply

    def post(self, name: str, *args: Argument | LazyArgument) -> None:
        """Add a call whose reply does not matter."""
        self.start(name, *args).add_done_callback(asyncio.Future.exception)

    def _pack(self, batch: Sequence[Call]) -> tuple[bytes, int]:
        commands = [_packed(calls) for calls in _in_one_call(batch)]
        return b"".join(commands), len(commands)

    def _on_replies(self, batch: list[Call], replies: Replies) -> None:
        if error := self._replication_error(replies):
            self._send_next()
            fail(batch, error)
            return
        executed: list[tuple[Call, Any]] = []
        unknown: list[Call] = []
        for calls, reply in zip(_in_one_call(batch), replies, strict=False):
            if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":  # nothing was executed
                unknown += [call._replace(with_source=True) for call in calls]
            elif isinstance(reply, ErrorReply) or not calls[0].is_item:
                executed += [(call, reply) for call in calls]
            else:
                executed += zip(calls, map(_item_reply, reply), strict=True)
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


def _in_one_call(batch: Sequence[Call]) -> Collection[list[Call]]:
    """The calls, grouped by the command in which they leave, in the order of their first ones."""
    together: dict[object, list[Call]] = {}
    for number, call in enumerate(batch):
        key = (call.script.name, call.with_source, call.common) if call.is_item else number
        together.setdefault(key, []).append(call)
    return together.values()


def _packed(calls: Sequence[Call]) -> bytes:
    first = calls[0]
    values: list[Argument] = [*first.common]
    for call in calls:
        values += [each() if callable(each) else each for each in call.args]
    return pack(("EVAL", first.script.source, 0, *values) if first.with_source else first.script.command(values))


def _item_reply(reply: Any) -> Any:
    is_refused = isinstance(reply, bytes) and reply.startswith(REFUSED)
    return ErrorReply(reply.removeprefix(REFUSED).decode()) if is_refused else reply
