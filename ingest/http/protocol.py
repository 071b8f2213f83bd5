"""uvicorn's HTTP protocol with limits: on slow clients, on the size of headers, on connections and pipelining."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

import httptools

from surehook.ingest import responses
from surehook.ingest.body import BODY_SECONDS
from surehook.ingest.http.fast_path import FastPath, FastPathProtocol
from surehook.ingest.http.response_writer import build_head
from surehook.ingest.limits import Limits
from surehook.ingest.responses import Response

HEADERS_SECONDS = 10.0
RESPONSE_SECONDS = 1.0
# Complete requests that wait for the response to the previous one. A client may be a moment early; thousands in one
# read would each take some kilobytes.
MAX_PIPELINED = 1
MAX_HEADERS_BYTES = 64 * 1024
# How long a stopping process still serves idle connections, so that a request already on its way is not lost. Each
# response then says that the connection closes.
LINGER_SECONDS = 0.5


class LimitExceeded(Exception):
    """The client sent more than one connection may send. The text is a label of the metric."""


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
    _deadline: asyncio.TimerHandle | None = None
    _keep_alive = True
    _header_bytes = 0  # received since the last headers were complete or the last piece of a body came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.limits.connections += 1
        if self.limits.connections > self.limits.max_connections:
            self._phase = Phase.OVER_LIMIT
            self._close_after(RESPONSE_SECONDS)
            return
        self._close_after(HEADERS_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._is_closing():
            return
        if self._phase is Phase.OVER_LIMIT:
            # Not earlier: a response sent before the request arrived would be lost in the reset that follows.
            self._respond_and_close(responses.UNAVAILABLE)
            return
        if self._phase is not Phase.BODY:  # the start of the next request, or blank lines before it
            self._phase = Phase.HEADERS
        self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._is_closing():
            return
        self.start_asgi_with_buffered_body()
        # Checked after parsing: the end of the headers may come together with a large body. Framing bytes of a chunked
        # body are kept in memory like headers, so they count too.
        if self._header_bytes > MAX_HEADERS_BYTES:
            self._reject_connection("headers_too_large")
            return
        # A request that arrived completely needs no timer.
        if self._deadline is not None or self._phase is Phase.IDLE:
            return
        # The endpoint answers a slow body itself; this closes connections whose body is not read, or whose client
        # ignores the response.
        self._close_after(HEADERS_SECONDS if self._phase is Phase.HEADERS else BODY_SECONDS + RESPONSE_SECONDS)

    def _is_closing(self) -> bool:
        return self._phase is Phase.CLOSING

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._reject_connection(str(exc.__context__) if isinstance(exc.__context__, LimitExceeded) else "not_http")
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(rest=data[upgrade.args[0] :])

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Stay with HTTP/1.1, as a server may (RFC 9110, section 7.8).

        Java's client offers HTTP/2 with each request and then sends it as HTTP/1.1, but httptools takes the body for
        the other protocol. So the request is parsed again without the offer.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._reject_connection("not_http")
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._parse(b"\r\n".join([*lines, b"", rest]))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise LimitExceeded("too_many_at_once")  # an exception is the only way to stop the parser
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._header_bytes > MAX_HEADERS_BYTES:  # most of it may be body that came in the same read
            self._check_header_size()
        self._phase = Phase.BODY
        self._header_bytes = 0
        self._cancel_deadline()
        super().on_headers_complete()

    def start_asgi(self) -> None:
        super().start_asgi()
        self._keep_alive = self.cycle.keep_alive
        # A client that sent `Expect: 100-continue` and is refused need not send the body: the next bytes may already
        # be another request.
        if self.is_stopping or self.expect_100_continue:
            self.cycle.keep_alive = False

    def _check_header_size(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADERS_BYTES:
            raise LimitExceeded("headers_too_large")

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._phase = Phase.IDLE
        self._header_bytes = 0
        self._cancel_deadline()
        if self.expect_100_continue and not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive and not self.is_stopping
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._phase is Phase.CLOSING and not self.pipeline:
            self.transport.close()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.buffered.start_write_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.buffered.cancel_write_timeout()

    def eof_received(self) -> None:
        self.transport.close()  # asyncio would close it as well, but without the write timeout

    def shutdown(self) -> None:
        self.is_stopping = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self.loop.call_later(LINGER_SECONDS, super().shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self.limits.connections -= 1
        if self._phase is Phase.OVER_LIMIT:
            self.count_refusal("too_many_connections")
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn's own timer would keep a reset connection for 75 seconds
        if self.pipeline:
            # A pipelined request refers to its connection until it has run; both would stay in memory.
            self.pipeline.clear()
            self.cycle = cast(Any, None)
        self.buffered.cancel_write_timeout()

    def _reject_connection(self, reason: str) -> None:
        """Discard all further input, answer the requests that arrived completely, then close the connection."""
        self._phase = Phase.CLOSING
        self._cancel_deadline()
        self.count_refusal(reason)
        is_running = self.cycle is not None and not self.cycle.response_complete
        if is_running and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif is_running and self.pipeline:
            self.pipeline.clear()  # the pipelined request broke off in its body; the one before it is still answered
        elif reason == "headers_too_large" or (is_running and self.cycle.response_started):
            self.transport.close()
        else:
            self._respond_and_close(responses.NOT_HTTP)

    def _respond_and_close(self, response: Response) -> None:
        self.buffered.write_response(build_head(response, closes=True) + response.body)
        self.transport.close()

    def _close_after(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol_for(limits: Limits, count_refusal: Callable[[str], None], fast_path: FastPath) -> type[WebhookProtocol]:
    """A protocol class for uvicorn, which creates the instances itself: what they need is set on the class."""
    attributes = {"limits": limits, "fast_path": fast_path, "count_refusal": staticmethod(count_refusal)}
    return type("BoundWebhookProtocol", (WebhookProtocol,), attributes)
