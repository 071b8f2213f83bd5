"""Checks from outside that every accepted delivery was genuine, by what the forger knows."""

import re
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.signing import SIGNATURE
from surehook.ingest.endpoint import PendingResponse, WebhookEndpoint
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.envelope import Envelope
from surehook.shared.errors import SurehookError
from tests.support.forged_tokens import AUTHORIZATION, Forger


class AuthenticationOracle:
    """Wraps the app and its endpoint: a delivery answered with 2xx must have been genuine, byte for byte."""

    def __init__(self, app: ASGIApp, forger: Forger) -> None:
        self._app = app
        self._forger = forger
        self.endpoint: WebhookEndpoint | None = None
        self.fast_path_requests = 0
        self.failures: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""

        async def listen() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def respond(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300 and scope["method"] == "POST":
                self._check(scope["headers"], body)
            await send(message)

        try:
            await self._app(scope, listen, respond)
        except Exception as exc:
            self.failures.append(f"{type(exc).__name__} escaped from the app")
            raise

    def receive_complete(self, headers: list[tuple[bytes, bytes]], body: bytes, response: PendingResponse) -> bool:
        """Receives a request of the fast path, which skips the app. If it is pending, it is on its way to the store."""
        assert self.endpoint is not None
        try:
            is_pending = self.endpoint.receive_complete(headers, body, response)
        except Exception as exc:
            if not isinstance(exc, SurehookError | Refusal):
                self.failures.append(f"{type(exc).__name__} escaped from the endpoint")
            raise
        if is_pending:
            self.fast_path_requests += 1
            self._check(headers, body)
        return is_pending

    def refuse(self, error: Any) -> Response:
        assert self.endpoint is not None
        return self.endpoint.refuse(error)

    def respond(self, envelope: Envelope, outcome: AcceptResult, began: float) -> Response:
        assert self.endpoint is not None
        return self.endpoint.respond(envelope, outcome, began)

    def _check(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        values = {name: [value for given, value in headers if given == name] for name, _ in headers}
        tokens = values.get(SIGNATURE.lower().encode(), [])
        # Whitespace around a value is not part of it (RFC 9110, section 5.5).
        teams = [value.strip() for value in values.get(b"x-team", [])]
        keys = [re.sub(rb"(?i)^bearer\s+", b"", key.strip()) for key in values.get(b"authorization", [])]
        is_genuine = len(tokens) == 1 and (tokens[0], body) in self._forger.signed
        if not is_genuine or keys != [AUTHORIZATION.encode()] or teams != [b"red"]:
            self.failures.append(f"accepted: {headers} {body!r}")
