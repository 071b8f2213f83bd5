"""The endpoint over HTTP in a thread of the test, and a proxy in front of it that does what it should not."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import uvicorn

from harness.stack import wait_until
from surehook.ingest.app import create_app
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.settings import Settings, host_and_port

Misbehave = Callable[["_Handler", bytes], bool]
"""Answers a request itself and returns True, or changes what is forwarded."""


@contextmanager
def served_endpoint(settings: Settings) -> Iterator[str]:
    """Serves the endpoint at its BIND, and gives its URL once it is ready."""
    host, port = host_and_port(settings.bind)
    config = uvicorn.Config(
        create_app(settings, IngestMetrics()), host=host, port=port, log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the endpoint serves")
    try:
        with httpx.Client(trust_env=False) as client:
            wait_until(lambda: client.get(f"http://{settings.bind}/readyz").is_success, "the endpoint is ready")
        yield f"http://{settings.bind}{settings.webhook_path}"
    finally:
        server.should_exit = True
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Proxy"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.forwarded = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        self.body = body
        if self.server.misbehave(self, body):
            return
        response = self.server.client.post(self.server.target, content=self.body, headers=self.forwarded)
        self.answer(response.status_code, response.content)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    target = ""
    misbehave: Misbehave = staticmethod(lambda *_: False)
    client: httpx.Client


@contextmanager
def proxy_before(target: str, misbehave: Misbehave) -> Iterator[str]:
    """Runs a proxy and gives its URL for the same path."""
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.target, proxy.client = target, httpx.Client(trust_env=False)
    proxy.misbehave = misbehave
    thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}/{target.split('/', 3)[3]}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        proxy.client.close()
