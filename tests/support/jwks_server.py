"""A JWKS server that stands for FusionAuth: a real server on this machine, which answers as a test sets it up."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/.well-known/jwks.json"


class JwksServer(ThreadingHTTPServer):
    """Its response can be changed while it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.document = b'{"keys": []}'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.seconds_a_byte = 0.0
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"


@contextlib.contextmanager
def jwks_server() -> Iterator[JwksServer]:
    with JwksServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: JwksServer

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(self.path)
        self.send_response(server.status)
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have closed the connection
            if not server.seconds_a_byte:
                self.wfile.write(server.document)
            for byte in server.document if server.seconds_a_byte else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(server.seconds_a_byte)

    def log_message(self, *_: object) -> None: ...
