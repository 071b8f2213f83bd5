"""The dashboard's server: uvicorn with limits of connections, time and size."""

import asyncio
import signal
import socket
from typing import Any, ClassVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from surehook.dashboard.wsgi import sentence_answer

MAX_CONNECTIONS = 100
# From the first byte to the last. Each connection serves one request, so a client that is slow with a request, with a
# response, or between the two ends here.
CONNECTION_SECONDS = 30.0
MAX_HEADERS_BYTES = 16 * 1024
HEADER_OVERHEAD_BYTES = 4  # colon, blank and line end
STOP_SECONDS = 2

NOT_HTTP = sentence_answer(400, "This is no valid HTTP request.\n")
HEADERS_TOO_LARGE = sentence_answer(431, "The headers are too large.\n")


class BoundedProtocol(H11Protocol):
    """uvicorn waits forever for the first request of a connection and accepts any number of them.

    When there are too many, the oldest that has not sent a request makes room: a browser sends its own at once.
    """

    without_request: ClassVar[dict["BoundedProtocol", None]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(CONNECTION_SECONDS, transport.abort)
        self.without_request[self] = None
        if len(self.connections) > MAX_CONNECTIONS:
            oldest = next(iter(self.without_request))
            del self.without_request[oldest]
            oldest.transport.abort()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None:
            self.without_request.pop(self, None)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        status, headers, body = NOT_HTTP
        head = h11.Response(status_code=status, headers=headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self.without_request.pop(self, None)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()


class Server(uvicorn.Server):
    """uvicorn's server, which a signal stops before it has started as well."""

    def stop(self, *_: object) -> None:
        self.should_exit = True


def serve(application: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = build_server(application)
    # uvicorn handles signals only while its loop runs, and afterwards raises again the one that stopped it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    server.run(sockets=[listener])


def build_server(application: ASGIApp) -> Server:
    config = uvicorn.Config(
        BoundedRequests(application),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEADERS_BYTES,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return Server(config)


class BoundedRequests:
    """Refuses large headers, which h11 reads whole if they arrive at once, and closes after each response."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size = sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in scope["headers"])
        if size > MAX_HEADERS_BYTES:
            status, headers, body = HEADERS_TOO_LARGE
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return

        async def send_last(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._application(scope, receive, send_last)
