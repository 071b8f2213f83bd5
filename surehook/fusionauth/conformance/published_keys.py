"""Serves public keys as FusionAuth does at /.well-known/jwks.json."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from surehook.fusionauth.conformance.tokens import TokenKey, generate

PATH = "/.well-known/jwks.json"
# A forger publishes keys here; a token may name the address, and the receiver must not look there.
FORGED_PATH = "/forged-jwks.json"
KINDS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "Ed25519")


@dataclass
class PublishedKeys:
    """A key of every kind that has a public part, one to rotate to, and a server for them; `with` stops it."""

    host: str
    port: int
    is_failing: bool = False
    forger: TokenKey = field(init=False)
    keys: dict[str, TokenKey] = field(init=False)
    next_key: TokenKey = field(init=False)
    next_published_at: float = 0.0

    def __enter__(self) -> Self:
        self._server = _Server((self.host, self.port), _Handler)
        self.keys = {kind: generate(kind) for kind in KINDS}
        self.next_key, self.forger = generate("RS256"), generate("RS256")
        self._server.published = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + PATH

    def publish_next(self) -> None:
        self.next_published_at = time.monotonic()

    def document(self, path: str) -> dict[str, Any]:
        if path == FORGED_PATH:
            return {"keys": [self.forger.public_jwk()]}
        published = [*self.keys.values(), *([self.next_key] if self.next_published_at else [])]
        return {"keys": [key.public_jwk() for key in published]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    published: PublishedKeys


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        published = self.server.published
        is_known = self.path in (PATH, FORGED_PATH)
        body = json.dumps(published.document(self.path) if is_known else {}).encode()
        self.send_response(500 if published.is_failing else 200 if is_known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
