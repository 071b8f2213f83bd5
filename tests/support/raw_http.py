"""Raw bytes to a port and back: what no HTTP client would send, and exactly what comes in return."""

import contextlib
import socket

from harness.stack import API_KEY

ANSWER_SECONDS = 5.0


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)


def a_request(*headers: str, body: bytes = b"", proof: str | None = API_KEY, method: str = "POST") -> bytes:
    """A delivery's bytes; a length is announced only where `headers` do it."""
    lines = [f"{method} /fusionauth-webhook HTTP/1.1", "Host: surehook", "Content-Type: application/json", *headers]
    if proof is not None:
        lines.append(f"Authorization: {proof}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_until_closed(connection: socket.socket) -> bytes:
    """All that comes until the other side closes. A reset is a close; silence for too long is an error."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def talk(port: int, sent: bytes) -> bytes:
    """Send, and read until the door closes the connection."""
    with connect(port) as connection:
        # The door may have seen enough before all is sent; its answer may be there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        return read_until_closed(connection)


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 where the connection was closed without one."""
    return int(answer.split(b" ", 2)[1]) if answer else 0
