"""The endpoint on a socket, with the protocol of the real server, in a thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send

from harness.events import a_body
from harness.stack import wait_until
from surehook.ingest.app import create_app
from surehook.ingest.http.fast_path import FastPath
from surehook.ingest.http.protocol import protocol_for
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.refusals import Refusals
from surehook.shared.settings import Settings
from tests.support.raw_http import a_request, connect

SECONDS = 20.0


@dataclass
class SocketEndpoint:
    """A running endpoint. `asgi_requests` has the methods of the requests that did not take the fast path."""

    port: int
    limits: Limits
    metrics: IngestMetrics
    asgi_requests: list[str] = field(default_factory=list)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def send(self, request: bytes, *, in_pieces: bool) -> socket.socket:
        """Sends a request in one piece, or its body after the endpoint has read its head."""
        connection = connect(self.port)
        connection.settimeout(SECONDS)
        if in_pieces:
            cut = request.index(b"\r\n\r\n") + 4
            connection.sendall(request[:cut])
            wait_until(lambda: self.limits.pending, "the endpoint has read the head")
            request = request[cut:]
        connection.sendall(request)
        return connection


def a_post(event: dict[str, object], *headers: str) -> bytes:
    body = a_body(event)
    return a_request(*headers, f"Content-Length: {len(body)}", body=body)


@contextmanager
def socket_endpoint(settings: Settings) -> Iterator[SocketEndpoint]:
    metrics, limits, fast_path = IngestMetrics(), Limits(settings), FastPath(settings.webhook_path)
    refusals = Refusals(metrics)
    app = create_app(settings, metrics, limits, fast_path, refusals)

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            endpoint.asgi_requests.append(scope["method"])
        await app(scope, receive, send)

    http = protocol_for(limits, refusals.count, fast_path)
    config = uvicorn.Config(counting, http=http, ws="none", lifespan="on", log_config=None, server_header=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = SocketEndpoint(listener.getsockname()[1], limits, metrics)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the endpoint serves")
        try:
            yield endpoint
        finally:
            server.should_exit = True
            thread.join()
