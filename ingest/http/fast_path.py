"""The short way: a delivery that comes as a whole goes from its bytes to the store and back without a task of its own.

ASGI makes a task, a cycle and some messages of each request, which cost about as much as the endpoint's own work.
Nearly all of them are there as a whole when their headers have been read, and wait for nothing but the store. One that
waits for something else (the rest of its body, keys, handlers) is the endpoint's: nothing has happened to it by then.
"""

import asyncio
import logging
import time
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from surehook.ingest.endpoint import BEGAN_AT, IS_COMPLETE, WebhookEndpoint
from surehook.ingest.http.response_writer import BufferedTransport, HeadCache
from surehook.ingest.limits import Reservation
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.acceptor import Outcome
from surehook.shared.envelope import Envelope
from surehook.shared.errors import AuthenticationFailed, StoreError

log = logging.getLogger(__name__)


class FastPath:
    """The fast path of one process. `endpoint` is set once the store has been checked."""

    def __init__(self, path: str) -> None:
        self.path = path.encode()
        self.head_cache = HeadCache()
        self.endpoint: WebhookEndpoint | None = None


class FastPathProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which calls the endpoint at once; this one looks first whether the rest has come as well."""

    fast_path: FastPath

    is_stopping = False
    _began = 0.0
    _chunks: list[bytes] | None = None  # of a body that has come so far, while nobody has been called

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raw_transport = cast(asyncio.Transport, transport)
        super().connection_made(raw_transport)
        self.buffered = BufferedTransport(raw_transport, self.loop)
        self.transport = cast(asyncio.Transport, self.buffered)  # it is one in all that uvicorn uses

    def on_headers_complete(self) -> None:
        # Of many requests that come at once, the last waits its turn: that counts against its deadline.
        self._began = time.perf_counter()
        self.headers = []  # trailers go here, and no further: what stands behind a body proves nothing
        if self._may_take_fast_path():
            self._chunks = []
        else:
            self.call_endpoint()

    def call_endpoint(self) -> None:
        """Call the endpoint."""
        super().on_headers_complete()
        cast(dict[str, Any], self.scope)[BEGAN_AT] = self._began

    def on_body(self, body: bytes) -> None:
        if self._chunks is None:
            super().on_body(body)
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._chunks is not None:
            if self._deliver(self._chunks):
                self._chunks = None
                return
            self.call_endpoint_late()
        cast(dict[str, Any], self.scope)[IS_COMPLETE] = True
        super().on_message_complete()

    def call_endpoint_late(self) -> None:
        """Call the endpoint, if that is still to be done: it takes what has come, and waits for the rest."""
        if self._chunks is None:
            return
        chunks, self._chunks = self._chunks, None
        self.call_endpoint()
        for chunk in chunks:
            super().on_body(chunk)

    def _may_take_fast_path(self) -> bool:
        return (
            self.url == self.fast_path.path
            and self.parser.get_method() == b"POST"
            and self.fast_path.endpoint is not None
            and (self.cycle is None or self.cycle.response_complete)  # each waits for the answer to the one before it
            and not self.expect_100_continue
            and not self.flow.write_paused  # whoever does not read gets no further answers
            and b"transfer-encoding" not in dict(self.scope["headers"])  # trailers would be heard as headers are
        )

    def _deliver(self, chunks: list[bytes]) -> bool:
        endpoint = cast(WebhookEndpoint, self.fast_path.endpoint)
        is_kept_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        delivery = Delivery(self, endpoint, self._began, is_kept_alive=is_kept_alive and not self.is_stopping)
        try:
            if not endpoint.start(self.scope["headers"], b"".join(chunks), delivery):
                return False
        except (AuthenticationFailed, Refusal, StoreError) as exc:
            # Not at once: what follows in this read finds somebody before it, as ever.
            self.loop.call_soon(delivery.set_exception, exc)
        except Exception:  # noqa: BLE001 - the endpoint will meet it again, and answers 500 for it
            return False
        self.cycle = cast(Any, delivery)
        return True


class Nobody:
    """Waits for the rest of a body: uvicorn wakes whoever does when a connection is lost."""

    def set(self) -> None: ...


class Delivery:
    """A delivery on its way: to uvicorn what its own `cycle` is, to the intake whoever waits for a reply."""

    # What uvicorn and our protocol ask of a cycle that is under way.
    message_event = Nobody()
    more_body = False
    response_started = False
    response_complete = False
    disconnected = False

    def __init__(
        self, protocol: FastPathProtocol, endpoint: WebhookEndpoint, began: float, *, is_kept_alive: bool
    ) -> None:
        self._protocol = protocol
        self._endpoint = endpoint
        self.began = began
        self.keep_alive = is_kept_alive
        self.reservation: Reservation | None = None
        self.envelope: Envelope | None = None

    def done(self) -> bool:
        """As of a future. Whoever hangs up meanwhile has sent its event all the same."""
        return self.response_complete

    def set_result(self, outcome: Outcome) -> None:
        assert self.envelope is not None  # noqa: S101 - it was put into the intake with it
        try:
            self._finish(self._endpoint.respond(self.envelope, outcome, self.began))
        except Exception as exc:  # noqa: BLE001 - whatever it is, others wait for their answers
            self._abort(exc)

    def set_exception(self, error: AuthenticationFailed | Refusal | StoreError) -> None:
        try:
            self._finish(self._endpoint.refuse(error))
        except Exception as exc:  # noqa: BLE001 - whatever it is, others wait for their answers
            self._abort(exc)

    def _abort(self, error: Exception) -> None:
        log.error("an answer broke off", exc_info=error)
        self._release()
        self._protocol.transport.abort()
        del self._protocol

    def _release(self) -> None:
        self.response_complete = True
        if self.reservation is not None:
            self.reservation.release()
        self.reservation = self.envelope = None  # an idle connection keeps no body

    def _finish(self, response: Response) -> None:
        self._release()
        protocol = self._protocol
        if not protocol.transport.is_closing():
            closes = not self.keep_alive or response.closes_connection
            server_headers = protocol.server_state.default_headers
            protocol.buffered.write_whole(
                protocol.fast_path.head_cache.get(response, server_headers, closes=closes) + response.body
            )
            if closes:
                protocol.transport.close()
        protocol.on_response_complete()
        del self._protocol  # or a lost connection would wait for the garbage collector, which comes rarely
