"""Batches that cannot be sent: their items fail, and later ones are sent."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from surehook.ingest.store.batcher import Batcher
from surehook.ingest.store.connection import Connection, Replies
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings


@dataclass
class Item:
    reply: "asyncio.Future[Any]"
    size: int = 1
    is_unpackable: bool = False


class OneByOne(Batcher[Item]):
    max_batch = 1

    def _pack(self, batch: Sequence[Item]) -> tuple[bytes, int]:
        if batch[0].is_unpackable:
            raise MemoryError
        return b"*1\r\n$4\r\nPING\r\n", 1

    def _on_replies(self, batch: list[Item], replies: Replies) -> None:
        self._send_next()
        batch[0].reply.set_result(replies[0])


class Session:
    """Has only the connection, which is all that a batcher reads of it here."""

    connection: Connection | None = None


def connected(loop: asyncio.AbstractEventLoop, session: Session) -> None:
    connection = session.connection = Connection(lambda: None)

    class Transport(asyncio.Transport):
        def write(self, data: Any) -> None:
            loop.call_soon(connection.data_received, b"+PONG\r\n" * bytes(data).count(b"PING"))

    connection.connection_made(Transport())


def closed(loop: asyncio.AbstractEventLoop, session: Session) -> None:
    connected(loop, session)
    assert session.connection is not None
    session.connection.connection_lost(None)


async def outcomes(prepare: Callable[[asyncio.AbstractEventLoop, Session], None], *items: bool) -> list[Any]:
    """Adds items at once; True stands for one that cannot be packed. Returns results, and types of errors."""
    loop, session = asyncio.get_running_loop(), Session()
    prepare(loop, session)
    batcher = OneByOne(session, Settings(), 5.0)  # type: ignore[arg-type]
    added = [Item(loop.create_future(), is_unpackable=is_unpackable) for is_unpackable in items]
    for item in added:
        batcher.add(item)
    async with asyncio.timeout(10):
        replies = await asyncio.gather(*(item.reply for item in added), return_exceptions=True)
    return [type(reply) if isinstance(reply, BaseException) else reply for reply in replies]


def test_a_batch_that_cannot_be_packed_does_not_stop_the_others() -> None:
    assert asyncio.run(outcomes(connected, False, True, False)) == [b"PONG", StoreUnavailable, b"PONG"]


@pytest.mark.parametrize("prepare", [lambda *_: None, closed], ids=["no connection", "closed connection"])
def test_a_lost_connection_fails_any_number_of_waiting_batches(prepare: Any) -> None:
    assert asyncio.run(outcomes(prepare, *[False] * 3000)) == [StoreUnavailable] * 3000
