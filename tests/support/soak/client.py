"""A connection to the endpoint that takes little of the processor, which the soak shares with the stack."""

import re
import socket

from harness.stack import API_KEY

TIMEOUT_SECONDS = 5.0
HEAD = (
    "POST /fusionauth-webhook HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
_END = b"\r\n\r\n"
_RESPONSE = re.compile(rb"HTTP/1\.1 (\d{3}) .*\r\ncontent-length: (\d+)", re.DOTALL | re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: close", re.IGNORECASE)


class Client:
    """Used from one thread. After an error the next request has a new connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def post(self, body: bytes) -> int:
        """Sends an event, and returns the status.

        Raises:
            OSError: there was no response.
        """
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS)
            self._socket.sendall(HEAD.format(key=API_KEY, length=len(body)).encode() + body)
            return self._status(self._socket)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _status(self, connection: socket.socket) -> int:
        data = b""
        while (end := data.find(_END)) < 0:
            data += _received(connection)
        response = _RESPONSE.match(data, 0, end)
        if response is None:
            raise ConnectionError(f"no HTTP response: {data[:end]!r}")
        while len(data) < end + len(_END) + int(response[2]):
            data += _received(connection)
        if _CLOSES.search(data, 0, end):
            self.close()
        return int(response[1])


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data
