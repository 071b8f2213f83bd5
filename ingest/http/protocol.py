"""What uvicorn's HTTP leaves open for a stranger to use: slow senders, endless headers, any number of connections."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools

from surehook.ingest import responses
from surehook.ingest.body import BODY_SECONDS
from surehook.ingest.http.fast_path import FastPath, ShortWayProtocol
from surehook.ingest.http.response_writer import head_of
from surehook.ingest.limits import Limits
from surehook.ingest.responses import Response

HEADERS_SECONDS = 10.0
ANSWER_SECONDS = 1.0
# Whole requests that wait for the answer to the one before them. A sender may be a moment early; thousands in one read
# would each take some kilobytes.
MOST_WAITING = 1
HEADERS_BYTES = 64 * 1024
# How long a stopping process answers on connections that stand idle: whoever is about to use one must not lose its
# request for it. Each answer then says that it was the connection's last.
LINGER_SECONDS = 0.5


class TooMuch(Exception):
    """More than one connection may bring. Its text is a label of the metric."""


class WebhookProtocol(ShortWayProtocol):
    """uvicorn waits for ever for a request's bytes, and takes any number of headers and connections; we do none."""

    bounds: Limits
    count_refusal: Callable[[str], None]

    _hurry: asyncio.TimerHandle | None = None
    _is_in_headers = True
    _is_in_body = False
    _is_hurried_in_body = False
    _is_one_too_many = False
    _is_deaf = False
    _keeps_alive = True
    _barren_bytes = 0  # received since headers were complete, or a body went on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.bounds.connections += 1
        if self.bounds.connections > self.bounds.most_connections:
            self._is_one_too_many = True
            self._close_after(ANSWER_SECONDS)
            return
        self._close_after(HEADERS_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._is_one_too_many:
            # Only now: an answer that leaves before the request came would be lost in the reset that follows.
            self._answer_and_close(responses.UNAVAILABLE)
            return
        if not self._is_in_body:  # the first bytes of another request, or blank lines before it, or more of them
            self._is_in_headers = True
        self._barren_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._is_deaf:
            return
        self.enter_late()
        # Judged after it was read: the last of the headers may come together with a large body.
        if self._barren_bytes > HEADERS_BYTES:
            self._hear_no_more("headers_too_large")  # or what follows a body in chunks, which is kept like them
            return
        # Most requests come as a whole and need no timer.
        if self._is_in_headers:
            if self._hurry is None:
                self._close_after(HEADERS_SECONDS)
        elif self._is_in_body and not self._is_hurried_in_body:
            # The door answers a slow sender; this is for bodies that nobody reads, and for who ignores the answer.
            self._is_hurried_in_body = True
            self._close_after(BODY_SECONDS + ANSWER_SECONDS)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._hear_no_more(str(exc.__context__) if isinstance(exc.__context__, TooMuch) else "not_http")
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(rest=data[upgrade.args[0] :])

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """We stay with HTTP/1.1, as a server may (RFC 9110, section 7.8). Java's client offers HTTP/2 with each request
        and sends it as ever; httptools takes its body for the other protocol. So it is parsed again without the offer.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._hear_no_more("not_http")
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._parse(b"\r\n".join([*lines, b"", rest]))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_WAITING:
            raise TooMuch("too_many_at_once")  # the parser knows no other way to stop
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._barren_bytes > HEADERS_BYTES:  # most of it may be the body's: they came in one read
            self._measure_headers()
        self._is_in_headers = False
        self._is_in_body = True
        self._barren_bytes = 0
        super().on_headers_complete()

    def enter(self) -> None:
        super().enter()
        self._keeps_alive = self.cycle.keep_alive
        # Who asks whether to send a body and hears a refusal need not send it: what comes next may be another request.
        if self.is_leaving or self.expect_100_continue:
            self.cycle.keep_alive = False

    def _measure_headers(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEADERS_BYTES:
            raise TooMuch("headers_too_large")

    def on_body(self, body: bytes) -> None:
        self._barren_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._is_in_body = self._is_hurried_in_body = False
        self._barren_bytes = 0
        self._stop_waiting()
        if self.expect_100_continue and not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive and not self.is_leaving
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._is_deaf and not self.pipeline:
            self.transport.close()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.answers.lose_patience()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.answers.keep_patience()

    def eof_received(self) -> None:
        self.transport.close()  # as the transport does by itself, but for the patience

    def shutdown(self) -> None:
        self.is_leaving = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self.loop.call_later(LINGER_SECONDS, super().shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.bounds.connections -= 1
        if self._is_one_too_many:
            self.count_refusal("too_many_connections")
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it to hold a connection that was reset for its 75 seconds
        if self.pipeline:
            # A request that waited its turn knows its connection until it has had it, and would keep both.
            self.pipeline.clear()
            self.cycle = cast(Any, None)
        self.answers.keep_patience()

    def _hear_no_more(self, reason: str) -> None:
        """Whatever comes from now on is dropped. What came before it as a whole is answered, then the door hangs up."""
        self._is_deaf = True
        self._stop_waiting()
        self.count_refusal(reason)
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if is_under_way and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif is_under_way and self.pipeline:
            self.pipeline.clear()  # it broke off in its body; the one before it is still to be answered
        elif reason == "headers_too_large" or (is_under_way and self.cycle.response_started):
            self.transport.close()
        else:
            self._answer_and_close(responses.NOT_HTTP)

    def _answer_and_close(self, answer: Response) -> None:
        self.answers.write_whole(head_of(answer, is_last=True) + answer.body)
        self.transport.close()

    def _close_after(self, seconds: float) -> None:
        self._stop_waiting()
        self._hurry = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None


def protocol_for(bounds: Limits, count_refusal: Callable[[str], None], entrance: FastPath) -> type[WebhookProtocol]:
    """uvicorn makes the protocols itself: what they need travels with their class."""
    made = {"bounds": bounds, "entrance": entrance, "count_refusal": staticmethod(count_refusal)}
    return type("BoundDoorProtocol", (WebhookProtocol,), made)
