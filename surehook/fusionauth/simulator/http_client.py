"""Sends one webhook request as FusionAuth's HTTP client does (FACTS §16, "On the wire").

It is Java's HttpURLConnection: HTTP/1.1, connections kept alive, `Content-Length` always, one write, no compression.
A redirect of the same scheme is followed, and turns the POST into a GET unless it is a 307. The read timeout counts for
each read of the socket, not for the whole response.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from surehook.fusionauth.simulator.quirks import USER_AGENT

ACCEPT = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
MAX_REDIRECTS = 20
MAX_RESPONSE_BYTES = 1 << 20
TEMPORARY_REDIRECT = 307
REDIRECTS = (301, 302, 303, TEMPORARY_REDIRECT)
NO_STATUS = -1
PIECES = 16
PIECE_SECONDS = 0.005


class Fault(Enum):
    """A fault between FusionAuth and the receiver."""

    LOST_RESPONSE = "the receiver gets the request, and its response is lost"
    CUT_BODY = "the connection breaks in the middle of the body"
    SLOW_BODY = "the body comes in pieces"
    STALLED_BODY = "the body stops in the middle, and the connection stays open"
    TRUNCATED_BODY = "a proxy forwards half of the body, with a length that fits"
    SENT_TWICE = "a proxy sends the request a second time"
    NOT_SENT = "the connection fails before anything is sent"


@dataclass(frozen=True, slots=True)
class CallResponse:
    """A status, or -1 with the text of Java's exception; `redirected_to` is the last URL of a redirect."""

    status: int
    exception: str = ""
    body: bytes = b""
    redirected_to: str = ""

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)


@dataclass(frozen=True, slots=True)
class Call:
    """A request. The timeouts are in seconds."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    connect_timeout: float
    read_timeout: float
    tls: ssl.SSLContext | None = None


class HttpClient:
    """Keeps one connection for each thread and address."""

    def __init__(self) -> None:
        self._local = threading.local()

    def post(self, call: Call, fault: Fault | None = None) -> CallResponse:
        """Sends a request. It never raises: a failure is a response with status -1."""
        if fault is Fault.NOT_SENT:
            return CallResponse(NO_STATUS, "java.net.ConnectException: Connection refused")
        if fault is Fault.SENT_TWICE:
            self._follow(call, None)
        response = self._follow(call, fault)
        if fault is Fault.LOST_RESPONSE:
            self.close()
            return CallResponse(NO_STATUS, "java.net.SocketTimeoutException: Read timed out")
        return response

    def close(self) -> None:
        """Closes this thread's connections."""
        for connection in self._connections().values():
            connection.close()
        self._connections().clear()

    def _follow(self, call: Call, fault: Fault | None) -> CallResponse:
        url, method, location = call.url, "POST", ""
        for _ in range(MAX_REDIRECTS):
            try:
                response, body = self._send(call, urlsplit(url), method, fault)
            except (OSError, HTTPException, ValueError) as exc:
                self.close()
                return CallResponse(NO_STATUS, _java_exception(exc), redirected_to=location)
            target = response.getheader("Location") if response.status in REDIRECTS else None
            following = urljoin(url, target) if target else url
            # Java does not follow a redirect to another scheme, so the redirect itself is the response.
            if target is None or urlsplit(following).scheme != urlsplit(url).scheme:
                return CallResponse(response.status, "", body, location)
            url = location = following
            method = method if response.status == TEMPORARY_REDIRECT else "GET"
        return CallResponse(NO_STATUS, "java.net.ProtocolException: Server redirected too many times", b"", location)

    def _send(self, call: Call, url: SplitResult, method: str, fault: Fault | None) -> tuple[HTTPResponse, bytes]:
        request = _request(_truncated(call) if fault is Fault.TRUNCATED_BODY else call, url, method)
        connection, is_new = self._connection(call, url)
        try:
            _write(connection, request, fault, call.read_timeout)
        except OSError:
            if is_new or fault is not None:
                raise
            # Java sends again, once, where a kept connection turns out to be closed.
            self._forget(url)
            connection, _ = self._connection(call, url)
            _write(connection, request, fault, call.read_timeout)
        connection.settimeout(call.read_timeout)
        response = HTTPResponse(connection, method=method)
        response.begin()
        body = response.read(MAX_RESPONSE_BYTES)
        if response.will_close or not response.isclosed():
            self._forget(url)
        return response, body

    def _connection(self, call: Call, url: SplitResult) -> tuple[socket.socket, bool]:
        kept = self._connections().get(_origin(url))
        if kept is not None:
            return kept, False
        port = url.port or (443 if url.scheme == "https" else 80)
        connection = socket.create_connection((url.hostname or "", port), timeout=call.connect_timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            context = call.tls or ssl.create_default_context()
            connection = context.wrap_socket(connection, server_hostname=url.hostname)
        self._connections()[_origin(url)] = connection
        return connection, True

    def _connections(self) -> dict[tuple[str, str], socket.socket]:
        if not hasattr(self._local, "connections"):
            self._local.connections = {}
        found: dict[tuple[str, str], socket.socket] = self._local.connections
        return found

    def _forget(self, url: SplitResult) -> None:
        connection = self._connections().pop(_origin(url), None)
        if connection is not None:
            connection.close()


def _origin(url: SplitResult) -> tuple[str, str]:
    return url.scheme, url.netloc


def _request(call: Call, url: SplitResult, method: str) -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    given = {name.lower() for name in call.headers}
    for name, value in (("User-Agent", USER_AGENT), ("Host", url.netloc), ("Accept", ACCEPT)):
        if name.lower() not in given:
            lines.append(f"{name}: {value}")
    lines.append("Connection: keep-alive")
    if method == "GET":
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + call.body


def _truncated(call: Call) -> Call:
    return replace(call, body=call.body[: len(call.body) // 2])


def _write(connection: socket.socket, request: bytes, fault: Fault | None, read_timeout: float) -> None:
    if fault is Fault.CUT_BODY:
        connection.sendall(request[: len(request) - max(1, len(request) // 4)])
        connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("Connection reset")
    if fault is Fault.SLOW_BODY:
        piece = max(1, len(request) // PIECES)
        for start in range(0, len(request), piece):
            connection.sendall(request[start : start + piece])
            time.sleep(PIECE_SECONDS)
        return
    if fault is Fault.STALLED_BODY:
        connection.sendall(request[: len(request) - max(1, len(request) // 4)])
        connection.settimeout(read_timeout)
        connection.recv(1)  # nothing comes, or the receiver gives up first
        raise TimeoutError("Read timed out")
    connection.sendall(request)


def _java_exception(exc: Exception) -> str:
    """Returns Java's words for a failure, as the event log shows them."""
    causes: tuple[tuple[Any, str], ...] = (
        (socket.gaierror, "java.net.UnknownHostException"),
        (ssl.SSLError, "javax.net.ssl.SSLHandshakeException"),
        (TimeoutError, "java.net.SocketTimeoutException"),
        (ConnectionRefusedError, "java.net.ConnectException"),
        (ConnectionError, "java.net.SocketException"),
        (OSError, "java.net.SocketException"),
    )
    name = next((name for kind, name in causes if isinstance(exc, kind)), "java.io.IOException")
    return f"{name}: {exc}"
