"""What a test over a network cannot decide: how the bytes are cut."""

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from ingest import answers
from ingest.bounds import Bounds
from ingest.door import reply
from ingest.protocol import HEADERS_BYTES, protocol_for
from ingest.short_way import Entrance
from shared.settings import Settings
from tests.support.attack import Wire

LARGE = 1024 * 1024


class Hall:
    """The protocol, with an app behind it that counts who came in."""

    def __init__(self) -> None:
        self.let_in = 0
        self.refused: list[str] = []

    async def hear(self, read: bytes) -> None:
        bounds = Bounds(Settings(api_keys=("a-key-for-tests-only",), metrics_bind="off"))
        http = protocol_for(bounds, self.refused.append, Entrance("/fusionauth-webhook"))
        config = uvicorn.Config(self._app, http=http, interface="asgi3", ws="none", log_config=None)
        make: Any = http
        protocol = make(config, ServerState(), {})
        protocol.connection_made(Wire())
        protocol.data_received(read)
        await asyncio.sleep(0)
        protocol.connection_lost(None)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.let_in += 1
        await reply(answers.ALIVE, send)


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        pytest.param([b"X: " + b"x" * (HEADERS_BYTES - 100)], True, id="one that just fits"),
        pytest.param([b"X: " + b"x" * (HEADERS_BYTES + 1)], False, id="one too long"),
        pytest.param([b"X-%d: x" % number for number in range(HEADERS_BYTES // 8)], False, id="too many"),
    ],
)
def test_headers_are_measured_also_where_one_read_brings_them_with_their_body(
    headers: list[bytes], is_let_in: bool
) -> None:
    hall = Hall()
    head = [b"POST / HTTP/1.1", b"Content-Length: %d" % LARGE, *headers, b"", b""]

    asyncio.run(hall.hear(b"\r\n".join(head) + b" " * LARGE))

    assert hall.let_in == is_let_in
    assert hall.refused == ([] if is_let_in else ["headers_too_large"])
