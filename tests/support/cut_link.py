"""A link between ingest and its store that stops in either direction, or delays: no byte is lost, as with real TCP."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TICK_SECONDS = 0.005


class Link:
    """Relays connections to the store's socket, in a thread of its own."""

    def __init__(self, store: Path) -> None:
        self.port = 0
        self.passes_commands = self.passes_replies = True
        self.delay_seconds = 0.0
        self._store = store
        self._is_listening = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._stopped = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        assert self._is_listening.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._is_listening.set()
        await self._stopped.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(TICK_SECONDS)  # aborted transports close in the next turns of the loop

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        pipes: list[asyncio.Task[None]] = []
        try:
            with suppress(OSError):
                store_reader, store_writer = await asyncio.open_unix_connection(str(self._store))
                writers.append(store_writer)
                pipes.append(asyncio.create_task(self._pipe(reader, store_writer, "passes_commands")))
                pipes.append(asyncio.create_task(self._pipe(store_reader, writer, "passes_replies")))
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            for each in writers:
                each.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, switch: str) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_seconds / 2)
                while not getattr(self, switch):  # noqa: ASYNC110 - another thread sets it
                    await asyncio.sleep(TICK_SECONDS)
                writer.write(data)
                await writer.drain()


@contextmanager
def link_to(store: Path) -> Iterator[Link]:
    link = Link(store)
    link.start()
    try:
        yield link
    finally:
        link.stop()
