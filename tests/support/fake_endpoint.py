"""One connection in front of a door that decides what a test says, and an endpoint behind it."""

import asyncio
from collections.abc import Callable
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
from surehook.ingest.store.acceptor import Outcome
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import AuthenticationFailed
from surehook.shared.settings import Settings
from tests.support.fuzzing import Wire
from tests.support.raw_http import a_request

PATH = "/fusionauth-webhook"
BODY = a_body()


class Doorkeeper:
    """A door that keeps whatever it is given until a test says how it ended."""

    def __init__(self, *, says: bool | Exception = True) -> None:
        self.says = says
        self.bounds = Limits(Settings(api_keys=("a-key-for-tests-only",), metrics_bind="off"))
        self.whole: list[PendingResponse] = []
        self.read: list[bytes] = []

    def receive_complete(self, _: Any, body: bytes, whole: PendingResponse) -> bool:
        self.read.append(body)
        if isinstance(self.says, Exception):
            raise self.says
        if self.says:
            whole.envelope, whole.reservation = parse_envelope(body), self.bounds.reserve()
            self.whole.append(whole)
        return self.says

    def respond(self, envelope: Any, outcome: Outcome, _: float) -> responses.Response:
        return responses.accepted(envelope.event_id) if outcome is Outcome.STORED else responses.duplicate("known")

    def refuse(self, error: Exception) -> responses.Response:
        return responses.NOT_AUTHORIZED if isinstance(error, AuthenticationFailed) else responses.UNAVAILABLE


class Place:
    """One connection, a door behind it, and an endpoint for what does not take the short way."""

    def __init__(self, door: Doorkeeper | WebhookEndpoint, bounds: Limits) -> None:
        self.wire = Wire()
        self.refused: list[str] = []
        self.asked: list[bytes] = []
        entrance = FastPath(PATH)
        entrance.endpoint = cast(WebhookEndpoint, door)
        http = protocol_for(bounds, self.refused.append, entrance)
        config = uvicorn.Config(self._endpoint, http=http, interface="asgi3", ws="none", log_config=None)
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        make: Any = http
        self.protocol: WebhookProtocol = make(config, state, {})
        self.protocol.connection_made(self.wire)

    async def hear(self, *reads: bytes) -> None:
        for read in reads:
            self.protocol.data_received(read)
            await self.turn()

    async def turn(self) -> None:
        """Let the loop do what is due."""
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        return [int(each[:3]) for each in self.wire.said.split(b"HTTP/1.1 ")[1:]]

    async def _endpoint(self, _: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        self.asked.append(body)
        await reply(responses.ALIVE, send)


def a_delivery(*headers: str, body: bytes = BODY) -> bytes:
    return a_request(*headers, f"Content-Length: {len(body)}", body=body)


def at(door: Doorkeeper, scene: Callable[[Place], Any]) -> Place:
    async def play() -> Place:
        place = Place(door, door.bounds)
        await scene(place)
        return place

    return asyncio.run(play())
