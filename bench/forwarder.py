"""The minimum for a durable response on this event loop: bytes in, one SET, bytes out, without parsing HTTP.

python -m bench.forwarder SOCKET PORT
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.load import BODY_BYTES
from surehook.ingest.store.connection import pack

ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}"
WRITE = pack(("SET", "lone", b"x" * BODY_BYTES))


class Store(asyncio.Protocol):
    """Answers the sender with every reply of the store."""

    sender: asyncio.Transport
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, _: bytes) -> None:
        self.sender.write(ANSWER)


class Sender(asyncio.Protocol):
    """Writes to the store for every read: a request arrives in one read, and one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._store.sender = cast(asyncio.Transport, transport)

    def data_received(self, _: bytes) -> None:
        self._store.transport.write(WRITE)


async def relay(path: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    _, store = await loop.create_unix_connection(Store, path)
    server = await loop.create_server(lambda: Sender(store), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(relay(sys.argv[1], int(sys.argv[2])))
