"""A receiver that behaves as FusionAuth's documented example does, which runs on Node with Express.

It is a reproduction of the behaviour in Python, not that program. What Express 4 and body-parser do with its few lines:
the body is parsed before the credentials are looked at, only `application/json` is parsed, more than 100 KB is 413,
broken JSON is 400, the header is compared as text, a body without an event throws (500 with a trace), paths match in
any case, and another path or method is 404. The example's own handling of `user.delete` is not written out in the
documentation; here it succeeds.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/fusionauth-webhook"
KEY = "API-KEY"
BODY_LIMIT = 100 * 1024
# Node closes an idle connection after 5 s; a machine under load would sometimes need longer.
IDLE_SECONDS = 60


class Refused(Exception):
    """An answer of body-parser."""

    def __init__(self, status: int) -> None:
        self.status = status


class Example(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_served, body_limit, takes_any_type = PATH, BODY_LIMIT, False
    timeout = IDLE_SECONDS
    server_version, sys_version = "Express", ""

    def do_POST(self) -> None:
        try:
            body = self.read_body()
            request = self.parsed(body)
        except Refused as exc:
            self.answer(exc.status, b"<pre>SyntaxError or PayloadTooLargeError</pre>")
            return
        if self.path.partition("?")[0].rstrip("/").lower() != self.path_served:
            self.answer(404, b"<pre>Cannot POST</pre>")
        else:
            self.decide(request, body)

    def decide(self, request: Any, body: bytes) -> None:
        del body
        if self.headers.get("Authorization") != KEY:
            self.answer(401, json.dumps({"errors": [{"code": "[notAuthorized]"}]}).encode())
        else:
            self._handle(request)

    def do_GET(self) -> None:
        self.answer(404, b"<pre>Cannot GET</pre>")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _handle(self, request: Any) -> None:
        """Reads `request.event.type`, and of a deletion `request.event.user.id`, as JavaScript does."""
        try:
            event = request["event"] if isinstance(request, dict) else None
            if event is None:
                raise TypeError
            if isinstance(event, dict) and event.get("type") == "user.delete":
                event["user"]["id"]
        except (KeyError, TypeError):
            self.answer(500, b"<pre>TypeError: Cannot read properties of undefined</pre>")
        else:
            self.answer(200, b"OK")

    def read_body(self) -> bytes:
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            raise Refused(400)
        return body

    def parsed(self, body: bytes) -> Any:
        is_json = self.takes_any_type or (self.headers.get("Content-Type") or "").startswith("application/json")
        if not body or not is_json:
            return {}
        if len(body) > self.body_limit:
            raise Refused(413)
        try:
            found = json.loads(body)
        except ValueError as exc:
            raise Refused(400) from exc
        if not isinstance(found, dict | list):  # body-parser is strict: objects and arrays alone
            raise Refused(400)
        return found

    def answer(self, status: int, body: bytes) -> None:
        with contextlib.suppress(OSError):  # the client may have gone
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def express_example() -> Iterator[str]:
    """Serves it, and gives its URL."""
    with Server(("127.0.0.1", 0), Example) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PATH}"
        server.shutdown()
        thread.join()
