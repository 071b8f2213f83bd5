"""HTTP as raw bytes, for requests that no HTTP client would send."""

import contextlib
import socket

from harness.stack import API_KEY

ANSWER_SECONDS = 5.0


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)


def a_request(*headers: str, body: bytes = b"", authorization: str | None = API_KEY, method: str = "POST") -> bytes:
    """Returns the bytes of a delivery; it has a Content-Length only if `headers` do."""
    lines = [f"{method} /fusionauth-webhook HTTP/1.1", "Host: surehook", "Content-Type: application/json", *headers]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_until_closed(connection: socket.socket) -> bytes:
    """Returns all bytes until the other side closes. A reset counts as a close; a timeout is an error."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def talk(port: int, sent: bytes) -> bytes:
    """Sends, and reads until the endpoint closes the connection."""
    with connect(port) as connection:
        # The endpoint may refuse before everything is sent; its response can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        return read_until_closed(connection)


def status_of(answer: bytes) -> int:
    """Returns the status of a response; 0 if the connection was closed without one."""
    return int(answer.split(b" ", 2)[1]) if answer else 0
