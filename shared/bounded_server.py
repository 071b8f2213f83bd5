"""A WSGI server for a few readers, with limits: on connections, on their time, on the size of a request's headers.

Each connection costs a thread and a descriptor, so silent ones must not use up those of the process.
"""

import contextlib
import errno
import io
import logging
import socket
import sys
import threading
import time
from socketserver import ThreadingMixIn
from typing import Any, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
MAX_ENDING = 16  # whose threads are about to find out
CONNECTION_SECONDS = 5.0  # from the accept to the last byte of the response; one request each
MAX_HEADERS_BYTES = 16 * 1024
RETRY_ACCEPT_SECONDS = 1.0
POLL_SECONDS = 0.25
NOTHING_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class BoundedServer(ThreadingMixIn, WSGIServer):
    """Serves a WSGI app in threads, one for each connection.

    At the limit the oldest connection that has not sent its request makes room: a reader sends its own at once.
    """

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, host: str, port: int, app: Any) -> None:
        """
        Raises:
            OSError: the address cannot be used.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._deadlines: dict[Any, float] = {}
        self._without_request: dict[Any, None] = {}  # the oldest first
        self._is_short = False
        super().__init__((host, port), _RequestHandler)
        self.set_app(app)

    def start(self, name: str) -> None:
        """Serve in a thread of this name until the process ends."""
        threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), name=name, daemon=True).start()

    def get_request(self) -> Any:
        try:
            request = super().get_request()
        except OSError as exc:
            if exc.errno in NOTHING_LEFT:
                self._pause(exc)
            raise
        self._is_short = False
        return request

    def _pause(self, exc: OSError) -> None:
        """Wait, because the connection stays in the socket's queue and would be tried again at once."""
        if not self._is_short:
            log.error("connections not accepted", extra={"reason": exc.strerror, "error_type": type(exc).__name__})
        self._is_short = True
        time.sleep(RETRY_ACCEPT_SECONDS)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class's signature
        if len(self._deadlines) < MAX_CONNECTIONS:
            return True
        oldest = next(iter(list(self._without_request)), None)
        if oldest is None:
            return False
        self.has_request(oldest)
        _end(oldest)
        return len(self._deadlines) < MAX_CONNECTIONS + MAX_ENDING

    def has_request(self, request: Any) -> None:
        """Note that a connection has sent its request, or will not."""
        self._without_request.pop(request, None)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._without_request[request] = None
        self._deadlines[request] = time.monotonic() + CONNECTION_SECONDS
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._deadlines.pop(request, None)
        self.has_request(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections that are over their time."""
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if deadline < now:
                _end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke off; the base class prints a traceback."""


def _end(connection: Any) -> None:
    """The connection's thread then finds the end of the stream."""
    with contextlib.suppress(OSError):  # it has just ended by itself
        connection.shutdown(socket.SHUT_RDWR)


class _RequestHandler(WSGIRequestHandler):
    """Reads one request and answers it."""

    def handle(self) -> None:
        reader: Any = _Bounded(self.rfile)
        self.rfile = reader
        self.raw_requestline = reader.readline()
        is_request = self.parse_request()
        server: Any = self.server
        server.has_request(self.request)
        if is_request:
            responder = _Responder(reader, cast(Any, self.wfile), io.StringIO(), self.get_environ())
            responder.request_handler = self
            responder.run(server.get_app())

    def version_string(self) -> str:
        return "surehook"

    def log_message(self, *_: Any) -> None:
        """Log no requests."""


class _Responder(ServerHandler):
    """Runs the app. An error in it is logged by type and place."""

    request_handler: Any
    server_software: Any = None  # no header that names the version

    def log_exception(self, exc_info: Any) -> None:  # noqa: ARG002 - the base class's signature
        log.error("request failed", exc_info=sys.exc_info())


class _Bounded(io.RawIOBase):
    """The lines of a request's head, up to the limit; the body behind it."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._left = MAX_HEADERS_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - the limit is ours
        line: bytes = self._stream.readline(self._left)
        self._left -= len(line)
        if self._left <= 0:
            raise ConnectionAbortedError("the headers are too large")
        return line

    def read(self, size: int = -1, /) -> bytes:
        data: bytes = self._stream.read(size)
        return data
