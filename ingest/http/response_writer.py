"""Writes a response to the socket: its head from a cache, head and body in one piece, with a time limit."""

import asyncio
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from surehook.ingest.http.lingering import COMPLETE_SECONDS, LINGER_SECONDS, Lingering
from surehook.ingest.responses import Response

Headers = Sequence[tuple[bytes, bytes]]

# The kernel buffers thousands of responses. A client that leaves even this buffer full for so long does not read.
WRITE_TIMEOUT_SECONDS = 5.0


class BufferedTransport:
    """A transport that sends a response's head and body together, which uvicorn writes separately.

    This halves the system calls here and the wake-ups at the client, a quarter of the cost of a delivery.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._write_timeout: asyncio.TimerHandle | None = None
        self.lingering: Lingering | None = None  # since `close`: nothing more is written
        self.is_request_complete = False  # the client is not in the middle of a request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self.lingering is not None or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self.lingering is not None:
            return
        if self._head:
            data, self._head = self._head + data, b""
            self._transport.write(data)
            return
        self._head = data
        self._loop.call_soon(self._flush)

    def write_response(self, response: bytes) -> None:
        self._flush()
        self._transport.write(response)

    def close(self, seconds: float = LINGER_SECONDS) -> None:
        """End the responses, and close once the client closes too, or after this time at most.

        With TLS the responses cannot be ended alone: the client knows the end by the response's length, or by the
        close that follows the end of its request.
        """
        self._flush()
        if self.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif self.is_request_complete:
            self.close_now()
            return
        if self.is_request_complete:
            seconds = COMPLETE_SECONDS
        self.lingering = Lingering(self.close_now, self._loop, seconds)
        if self._transport.get_write_buffer_size():
            self.start_write_timeout()

    def close_now(self) -> None:
        """Close once the client has read what was written, or the write timeout has passed."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.close()
            self.start_write_timeout()

    def start_write_timeout(self) -> None:
        """Abort the connection after the timeout unless `cancel_write_timeout` is called first."""
        if self._write_timeout is None:
            self._write_timeout = self._loop.call_later(WRITE_TIMEOUT_SECONDS, self._transport.abort)

    def cancel_timers(self) -> None:
        self.cancel_write_timeout()
        if self.lingering is not None:
            self.lingering.cancel()

    def cancel_write_timeout(self) -> None:
        if self._write_timeout is not None:
            self._write_timeout.cancel()
            self._write_timeout = None

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)


class HeadCache:
    """Caches the heads of responses for a second, until the date in them changes."""

    def __init__(self) -> None:
        self._server_headers: Headers = ()
        self._heads: dict[tuple[int, int, Headers, bool], bytes] = {}

    def get(self, response: Response, server_headers: Headers, *, closes: bool) -> bytes:
        """The head of a response. uvicorn creates a new list of `server_headers` whenever they change."""
        if server_headers is not self._server_headers:
            self._server_headers = server_headers
            self._heads.clear()
        key = (response.status, len(response.body), response.headers, closes)
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = build_head(response, server_headers, closes=closes)
        return head


def build_head(response: Response, server_headers: Headers = (), *, closes: bool) -> bytes:
    """Build the head of a response: status line, the server's headers, its own headers."""
    lines = [*server_headers, *response.all_headers]
    if closes and not response.closes_connection:
        lines.append((b"connection", b"close"))
    return b"".join([STATUS_LINE[response.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n"])
