"""Sends over a connection by hand: what FusionAuth's client never would, but what proxies and networks make of it."""

import socket
import ssl
import time
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from typing import Self
from urllib.parse import urlsplit

from surehook.fusionauth.simulator.http_client import ACCEPT, MAX_RESPONSE_BYTES, NO_STATUS, Call, CallResponse
from surehook.fusionauth.simulator.quirks import USER_AGENT

CHUNK_BYTES = 512


class Wire:
    """One connection; `with` closes it. What goes wrong is a response with status -1."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._url = urlsplit(call.url)
        self._socket: socket.socket | None = None
        self.keep_alive = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def use(self, call: Call) -> None:
        """Takes another request to the same address."""
        self.call = call

    def exchange(self, pieces: Sequence[bytes], *, pause: float = 0.0, method: str = "POST") -> CallResponse:
        """Writes the pieces, with pauses between them, and reads the answer."""
        try:
            connection = self._connected()
            for number, piece in enumerate(pieces):
                if number and pause:
                    time.sleep(pause)
                connection.sendall(piece)
            response = HTTPResponse(connection, method=method)
            response.begin()
            body = response.read(MAX_RESPONSE_BYTES)
        except (OSError, HTTPException, ValueError) as exc:
            return CallResponse(NO_STATUS, f"{type(exc).__name__}: {exc}")
        self.keep_alive = response.getheader("Keep-Alive") or ""
        if response.will_close:
            self.close()
        return CallResponse(response.status, "", body)

    def head(self, method: str = "POST", framing: str | None = None) -> bytes:
        """Returns a request's head; `framing` is the header that says where the body ends."""
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._url.netloc}", f"User-Agent: {USER_AGENT}"]
        lines += [f"Accept: {ACCEPT}", *(f"{name}: {value}" for name, value in self.call.headers.items())]
        lines += ["Connection: keep-alive", *([framing] if framing is not None else [])]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def whole(self) -> bytes:
        return self.head(framing=f"Content-Length: {len(self.call.body)}") + self.call.body

    def _connected(self) -> socket.socket:
        if self._socket is None:
            port = self._url.port or (443 if self._url.scheme == "https" else 80)
            found = socket.create_connection((self._url.hostname or "", port), timeout=self.call.connect_timeout)
            if self._url.scheme == "https":
                context = self.call.tls or ssl.create_default_context()
                found = context.wrap_socket(found, server_hostname=self._url.hostname)
            found.settimeout(self.call.read_timeout)
            self._socket = found
        return self._socket


def chunks(body: bytes) -> bytes:
    """Returns a body in chunked transfer coding."""
    parts = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
