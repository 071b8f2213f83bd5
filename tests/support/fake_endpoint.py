"""One client's connection, with a fake endpoint behind the fast path and an echoing app behind ASGI."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from harness.events import a_body
from surehook.ingest import responses
from surehook.ingest.endpoint import PendingResponse, WebhookEndpoint, reply
from surehook.ingest.http.fast_path import FastPath
from surehook.ingest.http.protocol import WebhookProtocol, protocol_for
from surehook.ingest.limits import Limits
from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import AuthenticationFailed
from surehook.shared.settings import Settings
from tests.support.fuzzing import FakeTransport
from tests.support.raw_http import a_request

PATH = "/fusionauth-webhook"
Decides = Callable[["asyncio.Future[None]"], Coroutine[Any, Any, responses.Response | None]]
BODY = a_body()


class FakeEndpoint:
    """An endpoint whose requests wait until a test finishes them; `receive_complete` returns or raises `starts`.

    With `decides` they are transactions, and it has the outcome of each.
    """

    def __init__(self, *, starts: bool | Exception = True, decides: Decides | None = None) -> None:
        self.starts = starts
        self._decides = decides
        self.limits = Limits(Settings(api_keys=("a-key-for-tests-only",), metrics_bind="off"))
        self.pending: list[PendingResponse] = []
        self.bodies: list[bytes] = []

    def receive_complete(self, _: Any, body: bytes, response: PendingResponse) -> bool:
        self.bodies.append(body)
        if isinstance(self.starts, Exception):
            raise self.starts
        if self.starts:
            response.envelope, response.reservation = parse_envelope(body), self.limits.reserve()
            self.pending.append(response)
            if self._decides is not None:
                response.start(self._decides(response.expect_disconnect()))
        return self.starts

    def respond(self, envelope: Any, outcome: AcceptResult, _: float) -> responses.Response:
        return responses.accepted(envelope.event_id) if outcome is AcceptResult.STORED else responses.duplicate("known")

    def refuse(self, error: Exception) -> responses.Response:
        return responses.NOT_AUTHORIZED if isinstance(error, AuthenticationFailed) else responses.UNAVAILABLE


class ClientConnection:
    """One connection to an endpoint; `through_asgi` has the bodies that did not take the fast path."""

    def __init__(self, endpoint: FakeEndpoint | WebhookEndpoint, limits: Limits) -> None:
        self.transport = FakeTransport()
        self.refused: list[str] = []
        self.through_asgi: list[bytes] = []
        fast_path = FastPath(PATH)
        fast_path.endpoint = cast(WebhookEndpoint, endpoint)
        http = protocol_for(limits, self.refused.append, fast_path)
        config = uvicorn.Config(self._app, http=http, interface="asgi3", ws="none", log_config=None)
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        make: Any = http
        self.protocol: WebhookProtocol = make(config, state, {})
        self.protocol.connection_made(self.transport)

    async def receive(self, *reads: bytes) -> None:
        for read in reads:
            self.protocol.data_received(read)
            await self.turn()

    async def turn(self) -> None:
        """Lets the loop run its due callbacks."""
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        return [int(each[:3]) for each in self.transport.sent.split(b"HTTP/1.1 ")[1:]]

    async def _app(self, _: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        self.through_asgi.append(body)
        await reply(responses.ALIVE, send)


def a_delivery(*headers: str, body: bytes = BODY) -> bytes:
    return a_request(*headers, f"Content-Length: {len(body)}", body=body)


def run_with(endpoint: FakeEndpoint, scene: Callable[[ClientConnection], Any]) -> ClientConnection:
    async def play() -> ClientConnection:
        connection = ClientConnection(endpoint, endpoint.limits)
        await scene(connection)
        return connection

    return asyncio.run(play())
