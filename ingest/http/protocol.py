"""uvicorn's HTTP protocol with limits: on slow clients, on the size of headers, on connections and pipelining."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any

import httptools

from surehook.ingest import responses
from surehook.ingest.body import BODY_SECONDS
from surehook.ingest.http.fast_path import FastPath, FastPathProtocol
from surehook.ingest.http.head import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    Rejected,
    check_head,
    check_size,
    headers_too_large,
    is_100_continue,
)
from surehook.ingest.limits import Limits

HEADERS_SECONDS = 10.0
RESPONSE_SECONDS = 1.0
# Complete requests that wait for the response to the previous one. A client may be a moment early; thousands in one
# read would each take some kilobytes.
MAX_PIPELINED = 1
# Connections above the limit that are open at once, to be told so. Others are reset: each takes a descriptor of those
# that are kept for the store and the logs.
MAX_REFUSED = 40


class RequestAfterLast(Exception):
    """A request follows the one that was the last of its connection, as its headers said."""


class Phase(Enum):
    """The part of a request that a connection is reading."""

    HEADERS = 1
    BODY = 2
    IDLE = 3
    OVER_LIMIT = 4
    """There are too many connections: this one is told so and closed."""
    CLOSING = 5
    """Input is discarded; complete requests are still answered."""


class WebhookProtocol(FastPathProtocol):
    """uvicorn waits forever for the bytes of a request and accepts any number of headers and connections; this one
    does not."""

    limits: Limits
    count_refusal: Callable[[str], None]

    _phase = Phase.HEADERS
    _header_bytes = 0  # received since the last headers were complete or the last piece of a body came
    _earlier_cycle: Any = None  # the one before `cycle`, which waits for its response if the request is pipelined
    _head_bytes = 0  # the size of a chunked body's headers, which count together with its trailers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.limits.connections += 1
        if self.limits.connections > self.limits.max_connections:
            self._phase = Phase.OVER_LIMIT
            if self.limits.connections > self.limits.max_connections + MAX_REFUSED:
                self.transport.abort()
            else:
                self.close_after(RESPONSE_SECONDS)
            return
        self.close_after(HEADERS_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self.buffered.lingering is not None:
            self.buffered.lingering.drop(len(data))
            return
        if self._is_closing():
            return
        if self._phase is Phase.OVER_LIMIT:
            # Not earlier: the client may see a response before its request as one to nothing.
            self.respond_and_close(responses.UNAVAILABLE, RESPONSE_SECONDS)
            return
        if self._phase is not Phase.BODY:  # the start of the next request, or blank lines before it
            self._phase = Phase.HEADERS
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        if len(data) <= MAX_HEAD_BYTES:
            self._receive(data)
        else:
            self._receive_in_pieces(data)
        if self._is_closing():
            return
        self.start_asgi_with_buffered_body()
        # A request that arrived completely needs no timer.
        if self._deadline is not None or self._phase is Phase.IDLE:
            return
        # The endpoint answers a slow body itself; this closes connections whose body is not read, or whose client
        # ignores the response.
        self.close_after(HEADERS_SECONDS if self._phase is Phase.HEADERS else BODY_SECONDS + RESPONSE_SECONDS)

    def _receive_in_pieces(self, data: bytes) -> None:
        """Receive so little at a time that the parser never holds much more than one head may have."""
        for start in range(0, len(data), MAX_HEAD_BYTES):
            self._receive(data[start : start + MAX_HEAD_BYTES])
            if self._is_closing():
                return

    def _receive(self, data: bytes) -> None:
        self._header_bytes += len(data)
        self._parse(data)
        # Checked after parsing: the end of the headers may come together with a body. The framing of a chunked body
        # counts like headers.
        if self._header_bytes + self._head_bytes > MAX_HEAD_BYTES and not self._is_closing():
            self._reject_connection(headers_too_large())

    def _is_closing(self) -> bool:
        return self._phase is Phase.CLOSING

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            cause = exc.__context__
            if cause is not None:
                cause.__traceback__ = None  # refers to this frame: both would keep the data until garbage is collected
            if not isinstance(cause, RequestAfterLast):
                self._reject_connection(cause if isinstance(cause, Rejected) else Rejected())
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(rest=data[upgrade.args[0] :])

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Stay with HTTP/1.1, as a server may (RFC 9110, section 7.8).

        Java's client offers HTTP/2 with each request and then sends it as HTTP/1.1, but httptools takes the body for
        the other protocol. So the request is parsed again without the offer.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._reject_connection(Rejected())
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.start_parser()
        self._parse(b"\r\n".join([*lines, b"", rest]))

    def start_parser(self) -> None:
        """The parser reads on after each request, whatever its trailers say: the protocol decides which is the last."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_keep_alive=True)

    def on_message_begin(self) -> None:
        if self._is_closing():
            raise RequestAfterLast
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Rejected(reason="too_many_at_once")
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            raise headers_too_large()
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        headers = self.headers
        fields = dict(headers)
        keeps_alive = self.parser.should_keep_alive()
        # By far the cheaper question: without a header about it, a connection is only kept by HTTP/1.1.
        is_plain = keeps_alive and b"connection" not in fields and b"proxy-connection" not in fields
        version = "1.1" if is_plain else self.parser.get_http_version()
        check_head(version, headers, fields)
        self.is_chunked = b"transfer-encoding" in fields
        if self.is_chunked:
            self._head_bytes = check_size(self.url, headers)
        elif self._header_bytes > MAX_HEAD_BYTES:  # most of it may be body that came in the same read
            check_size(self.url, headers)
        self.keeps_alive = keeps_alive and version == "1.1"
        expected = fields.get(b"expect")
        self.expect_100_continue = expected is not None and version == "1.1" and is_100_continue(expected)
        super().on_headers_complete()
        self._phase = Phase.BODY
        self._header_bytes = 0
        self.buffered.is_request_complete = False
        self.cancel_deadline()

    def start_asgi(self) -> None:
        self._earlier_cycle = self.cycle
        super().start_asgi()
        # A client that sent `Expect: 100-continue` and is refused need not send the body: the next bytes may already
        # be another request. The rest of a chunked body may turn out to be no HTTP.
        is_end_known = not (self.expect_100_continue or self.is_chunked)
        self.cycle.keep_alive = self.keeps_alive and not self.is_stopping and is_end_known

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self.is_chunked:
            check_size(self.url, self.headers)  # with the trailers
        # Input after the last request is discarded.
        self._phase = Phase.IDLE if self.keeps_alive else Phase.CLOSING
        self._header_bytes = self._head_bytes = 0
        self.buffered.is_request_complete = True
        self.cancel_deadline()
        if (self.expect_100_continue or self.is_chunked) and not self.cycle.response_started:
            self.cycle.keep_alive = self.keeps_alive and not self.is_stopping
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.connections -= 1
        if self._phase is Phase.OVER_LIMIT:
            self.count_refusal("too_many_connections")
        super().connection_lost(exc)

    def _reject_connection(self, error: Rejected) -> None:
        """Discard all further input, answer the requests that arrived completely, then close the connection."""
        self._phase = Phase.CLOSING
        self.cancel_deadline()
        self.count_refusal(error.reason)
        is_running = self.cycle is not None and not self.cycle.response_complete
        if is_running and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif is_running and self.pipeline:
            # The pipelined request broke off in its body; the one before it is still answered.
            self.pipeline.clear()
            self.cycle, self._earlier_cycle = self._earlier_cycle, None
            self.cycle.keep_alive = False
        elif is_running and self.cycle.response_started:
            self.transport.close()
        else:
            self.respond_and_close(error.response)


def protocol_for(limits: Limits, count_refusal: Callable[[str], None], fast_path: FastPath) -> type[WebhookProtocol]:
    """A protocol class for uvicorn, which creates the instances itself: what they need is set on the class."""
    attributes = {"limits": limits, "fast_path": fast_path, "count_refusal": staticmethod(count_refusal)}
    return type("BoundWebhookProtocol", (WebhookProtocol,), attributes)
