"""A proxy in front of FusionAuth's API that changes the entries of its Webhook Event Log."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Change = Callable[[dict[str, Any]], bytes]
"""Writes an entry as the proxy sends it."""
CUT_OFF, FAILED = b"cut off", b"failed"


class ChangingProxy(ThreadingHTTPServer):
    """A page with an entry that becomes CUT_OFF breaks off, and one with FAILED gets 500."""

    daemon_threads = True

    def __init__(self, target: str, change: Change) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.change = change
        self.http = httpx.Client(base_url=target, trust_env=False, verify=False)  # noqa: S501 - plain HTTP
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ChangingProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/json"}
        answer = self.server.http.request(self.command, self.path, content=body, headers=headers)
        status, content = answer.status_code, answer.content
        if self.path.endswith("/webhook-event-log/search"):
            status, content = self._changed(answer.json())
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + (100 if content.endswith(CUT_OFF) else 0)))
        self.end_headers()
        self.wfile.write(content)
        if content.endswith(CUT_OFF):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        self.do_POST()

    def do_PATCH(self) -> None:
        self.do_POST()

    def _changed(self, page: dict[str, Any]) -> tuple[int, bytes]:
        entries = [self.server.change(row) for row in page["webhookEventLogs"]]
        if FAILED in entries:
            return 500, b""
        content = b'{"total":%d,"webhookEventLogs":[%s]}' % (page["total"], b",".join(entries))
        return 200, CUT_OFF if CUT_OFF in entries else content

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def changing_proxy(target: str, change: Change) -> Iterator[str]:
    """Returns the proxy's address."""
    proxy = ChangingProxy(target, change)
    threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy.url
    finally:
        proxy.shutdown()
        proxy.server_close()
        proxy.http.close()


def written(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()
