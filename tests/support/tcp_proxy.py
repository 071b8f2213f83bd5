"""A proxy between the endpoint and its store. It can speak TLS, and split, hold back, cut or falsify replies."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class TcpProxy:
    """How it treats replies can be changed while it runs."""

    port: int = 0
    replies_in_pieces: bool = False
    passes_replies: bool = True
    instead: bytes | None = None
    instead_for: bytes = b""
    """Replaces only the reply to a command that contains this."""
    cuts_after_bytes: int | None = None
    connections: int = 0
    commands: int = 0
    """How many reads of commands it has forwarded."""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, store: Path) -> None:
        self.connections += 1
        store_reader, store_writer = await asyncio.open_unix_connection(str(store))
        self._writers += [writer, store_writer]
        asked = bytearray()
        there = asyncio.create_task(self._forward(reader, store_writer, asked))
        await self._answer(store_reader, writer, asked)
        there.cancel()
        writer.transport.abort()
        store_writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
        while data := await reader.read(65536):
            self.commands += 1
            asked[:] = data
            writer.write(data)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self.passes_replies:
                    continue
                if self.cuts_after_bytes is not None:
                    writer.write(data[: self.cuts_after_bytes])
                    await writer.drain()
                    return
                lie = self.instead if self.instead_for in asked else None
                for piece in self._pieces(data if lie is None else lie):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)

    def _pieces(self, data: bytes) -> list[bytes]:
        return [data[at : at + 1] for at in range(len(data))] if self.replies_in_pieces else [data]


@contextlib.asynccontextmanager
async def tcp_proxy(store: Path, with_tls: ssl.SSLContext | None = None) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy()
    server = await asyncio.start_server(lambda r, w: proxy.relay(r, w, store), "127.0.0.1", 0, ssl=with_tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
