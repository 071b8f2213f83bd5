"""One connection in front of a door that decides what a test says, and an endpoint behind it."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from ingest import answers
from ingest.bounds import Bounds
from ingest.door import Door, Whole, reply
from ingest.intake import Outcome
from ingest.protocol import DoorProtocol, protocol_for
from ingest.short_way import Entrance
from shared.errors import AuthenticationFailed
from shared.events import parse_envelope
from shared.settings import Settings
from tests.support.attack import Wire
from tests.support.events import a_body
from tests.support.wire import a_request

PATH = "/fusionauth-webhook"
BODY = a_body()


class Doorkeeper:
    """A door that keeps whatever it is given until a test says how it ended."""

    def __init__(self, *, says: bool | Exception = True) -> None:
        self.says = says
        self.bounds = Bounds(Settings(api_keys=("a-key-for-tests-only",), metrics_bind="off"))
        self.whole: list[Whole] = []
        self.read: list[bytes] = []

    def begin(self, _: Any, body: bytes, whole: Whole) -> bool:
        self.read.append(body)
        if isinstance(self.says, Exception):
            raise self.says
        if self.says:
            whole.envelope, whole.hold = parse_envelope(body), self.bounds.hold()
            self.whole.append(whole)
        return self.says

    def answer(self, envelope: Any, outcome: Outcome, _: float) -> answers.Answer:
        return answers.accepted(envelope.event_id) if outcome is Outcome.STORED else answers.duplicate("known")

    def refuse(self, error: Exception) -> answers.Answer:
        return answers.NOT_AUTHORIZED if isinstance(error, AuthenticationFailed) else answers.UNAVAILABLE


class Place:
    """One connection, a door behind it, and an endpoint for what does not take the short way."""

    def __init__(self, door: Doorkeeper | Door, bounds: Bounds) -> None:
        self.wire = Wire()
        self.refused: list[str] = []
        self.asked: list[bytes] = []
        entrance = Entrance(PATH)
        entrance.door = cast(Door, door)
        http = protocol_for(bounds, self.refused.append, entrance)
        config = uvicorn.Config(self._endpoint, http=http, interface="asgi3", ws="none", log_config=None)
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        make: Any = http
        self.protocol: DoorProtocol = make(config, state, {})
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
        await reply(answers.ALIVE, send)


def a_delivery(*headers: str, body: bytes = BODY) -> bytes:
    return a_request(*headers, f"Content-Length: {len(body)}", body=body)


def at(door: Doorkeeper, scene: Callable[[Place], Any]) -> Place:
    async def play() -> Place:
        place = Place(door, door.bounds)
        await scene(place)
        return place

    return asyncio.run(play())
