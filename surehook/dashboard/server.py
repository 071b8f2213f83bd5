"""The dashboard's server: uvicorn with limits of connections, time and size, and a WSGI application in threads."""

import asyncio
import io
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from surehook.dashboard.headers import text_headers

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 100
# From the first byte to the last. Each connection serves one request, so a client that is slow with a request, with a
# response, or between the two ends here.
CONNECTION_SECONDS = 30.0
MAX_HEADERS_BYTES = 16 * 1024
HEADER_OVERHEAD_BYTES = 4  # colon, blank and line end
THREADS = 8
STOP_SECONDS = 2

StartResponse = Callable[..., Callable[[bytes], object]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def _sentence(status: int, text: str) -> Answer:
    headers = {**text_headers(), "Content-Length": str(len(text)), "Connection": "close"}
    return status, [(name.encode(), value.encode()) for name, value in headers.items()], text.encode()


NOT_HTTP = _sentence(400, "This is no valid HTTP request.\n")
HEADERS_TOO_LARGE = _sentence(431, "The headers are too large.\n")
FAILED = _sentence(500, "This page cannot be shown: the log of the dashboard has the error's type and place.\n")


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


def serve(application: WsgiApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = build_server(application)
    # uvicorn handles signals only while its loop runs, and afterwards raises again the one that stopped it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    server.run(sockets=[listener])


def build_server(application: WsgiApp) -> Server:
    config = uvicorn.Config(
        WsgiInThreads(application),
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


class WsgiInThreads:
    """Runs a WSGI application that reads no bodies."""

    def __init__(self, application: WsgiApp) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dashboard")

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        size = sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in scope["headers"])
        if size > MAX_HEADERS_BYTES:  # h11 has read them at once
            status, headers, body = HEADERS_TOO_LARGE
        else:
            status, headers, body = await loop.run_in_executor(self._threads, self.respond, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def respond(self, scope: Any) -> Answer:
        """Runs the application. uvicorn would answer its errors without our headers."""
        try:
            return self._run(scope)
        except Exception:
            log.exception("dashboard page failed")
            return FAILED

    def _run(self, scope: Any) -> Answer:
        status, headers = 500, []

        def start_response(line: str, lines: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            nonlocal status, headers
            status = int(line[:3])
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
            return lambda _: None

        chunks = self._application(environ_of(scope), start_response)
        try:
            return status, [*headers, (b"connection", b"close")], b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()


def environ_of(scope: Any) -> dict[str, Any]:
    """Translates ASGI's request into WSGI's."""
    host, port = scope["server"] or ("localhost", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name or name in {b"content-length", b"content-type", b"transfer-encoding"}:
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
