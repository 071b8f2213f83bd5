"""Whoever is let in by the door must have proven it: looked at from outside, with what the forger knows."""

import re
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.signing import SIGNATURE
from surehook.ingest.endpoint import PendingResponse, WebhookEndpoint
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.acceptor import Outcome
from surehook.shared.envelope import Envelope
from surehook.shared.errors import SurehookError
from tests.support.forged_tokens import AUTHORIZATION, Forger


class Judge:
    """Stands around the app: whatever is answered with 2xx must have been genuine, byte for byte."""

    def __init__(self, app: ASGIApp, forger: Forger) -> None:
        self._app = app
        self._forger = forger
        self.door: WebhookEndpoint | None = None
        self.begun = 0
        self.failures: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""

        async def listen() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def tell(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300 and scope["method"] == "POST":
                self._judge(scope["headers"], body)
            await send(message)

        try:
            await self._app(scope, listen, tell)
        except Exception as exc:
            self.failures.append(f"{type(exc).__name__} came out of the app")
            raise

    def receive_complete(self, headers: list[tuple[bytes, bytes]], body: bytes, whole: PendingResponse) -> bool:
        """As the door's, for what takes the short way past the app: it is on its way to the store then."""
        assert self.door is not None
        try:
            is_begun = self.door.receive_complete(headers, body, whole)
        except Exception as exc:
            if not isinstance(exc, SurehookError | Refusal):
                self.failures.append(f"{type(exc).__name__} came out of the door")
            raise
        if is_begun:
            self.begun += 1
            self._judge(headers, body)
        return is_begun

    def refuse(self, error: Any) -> Response:
        assert self.door is not None
        return self.door.refuse(error)

    def respond(self, envelope: Envelope, outcome: Outcome, began: float) -> Response:
        assert self.door is not None
        return self.door.respond(envelope, outcome, began)

    def _judge(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        of = {name: [value for given, value in headers if given == name] for name, _ in headers}
        tokens = of.get(SIGNATURE.lower().encode(), [])
        # Blanks around a value are no part of it (RFC 9110, section 5.5).
        teams = [value.strip() for value in of.get(b"x-team", [])]
        keys = [re.sub(rb"(?i)^bearer\s+", b"", key.strip()) for key in of.get(b"authorization", [])]
        is_genuine = len(tokens) == 1 and (tokens[0], body) in self._forger.signed
        if not is_genuine or keys != [AUTHORIZATION.encode()] or teams != [b"red"]:
            self.failures.append(f"accepted: {headers} {body!r}")
