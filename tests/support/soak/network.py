"""The network between a process and the store: it can be cut, stall, or lose replies."""

import asyncio
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path

import uvloop


class Mode(Enum):
    """How a relay treats bytes. SILENT keeps them and forwards them late, as a stalled network does."""

    OPEN = "open"
    CUT = "cut"
    SILENT = "silent"
    SWALLOWS_REPLIES = "swallows replies"


class Relay:
    """Forwards a TCP port, or a socket that is always in the same place, to the store's socket, in its own thread."""

    def __init__(self, store: Path, place: Path | None = None) -> None:
        self._store = store
        self._place = place
        self._mode = Mode.OPEN
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = uvloop.new_event_loop()
        self._passes = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.url = f"unix://{place}" if place else f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def set_mode(self, mode: Mode) -> None:
        self._loop.call_soon_threadsafe(self._set_mode, mode)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _set_mode(self, mode: Mode) -> None:
        # A client that missed a reply must not take the next one for it.
        must_break = mode is Mode.CUT or self._mode is Mode.SWALLOWS_REPLIES
        self._mode = mode
        if mode is Mode.SILENT:
            self._passes.clear()
        else:
            self._passes.set()
        if must_break:
            for writer in list(self._writers):
                writer.transport.abort()

    async def _listen(self) -> asyncio.Server:
        self._passes.set()
        if self._place:
            self._place.unlink(missing_ok=True)
            return await asyncio.start_unix_server(self._relay, self._place)
        return await asyncio.start_server(self._relay, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        self._set_mode(Mode.CUT)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._mode is Mode.CUT:
                raise ConnectionAbortedError
            store_reader, store_writer = await asyncio.open_unix_connection(str(self._store))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, store_writer}
        for one, other, is_reply in ((reader, store_writer, False), (store_reader, writer, True)):
            task = asyncio.create_task(self._pass(one, other, is_reply=is_reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._passes.wait()
                if is_reply and self._mode is Mode.SWALLOWS_REPLIES:
                    continue
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.transport.abort() if self._mode is Mode.CUT else writer.close()
