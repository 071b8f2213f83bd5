"""One connection for the scripts of transactions: whatever is called while a batch is in flight rides in the next."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import NoScriptError

from ingest.intake import REPLY_TIMEOUT_SECONDS, refuse_lossy
from shared.errors import NotDurable, StoreUnavailable
from shared.keys import Keys
from shared.replies import text
from shared.scripts import Argument, Script
from shared.settings import Settings
from shared.store import close_async, connect_async

LARGEST_BATCH = 256

Call = tuple[Script, Sequence[Argument], "asyncio.Future[Any]"]


class ScriptLine:
    """Each reply comes after the fsync of what it tells, as the store answers nothing earlier."""

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        keys = Keys(settings.key_prefix)
        self._settings = settings
        self._scripts = {name: Script(name, keys) for name in names}
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS, redis_connect_func=self._greet)
        self._waiting: list[Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def call(self, name: str, *args: Argument) -> Any:
        """
        Raises:
            StoreUnavailable: it is not known whether the script ran.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._scripts[name], args, future))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await future

    async def close(self) -> None:
        """What is in flight is answered first."""
        if self._sending is not None:
            await self._sending
        await close_async(self._store)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                await self._send(batch)
        finally:
            self._sending = None

    async def _send(self, batch: Sequence[Call]) -> None:
        replies: Sequence[Any] = [StoreUnavailable()] * len(batch)
        try:
            pipeline = self._store.pipeline(transaction=False)
            for script, args, _ in batch:
                pipeline.execute_command(*script.command(args))
            replies = await pipeline.execute(raise_on_error=False)
            replies = [
                await self._in_full(script, args) if isinstance(reply, NoScriptError) else reply
                for (script, args, _), reply in zip(batch, replies, strict=True)
            ]
        except Exception:  # noqa: BLE001, S110 - whatever it is, nobody may wait for an answer that never comes
            pass
        for (_, _, future), reply in zip(batch, replies, strict=True):
            if future.done():
                continue  # whoever called has given up
            if isinstance(reply, Exception):
                future.set_exception(StoreUnavailable())
            else:
                future.set_result(reply)

    async def _in_full(self, script: Script, args: Sequence[Argument]) -> Any:
        """The store does not know the script (yet, or any more), so nothing has run."""
        return await self._store.execute_command("EVAL", script.source, 0, *args)  # type: ignore[no-untyped-call]

    async def _greet(self, connection: Any) -> None:
        """Nothing is sent to a server that would lose what it answers."""
        await connection.on_connect()

        async def config_get(*names: str) -> Any:
            await connection.send_command("CONFIG", "GET", *names)
            found = [text(part) for part in await connection.read_response()]
            return dict(zip(found[::2], found[1::2], strict=True))

        try:
            await refuse_lossy(self._settings, config_get)
        except NotDurable as exc:
            raise StoreConnectionError(str(exc)) from exc
