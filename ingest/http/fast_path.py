"""Handles a request whose body has already arrived (nearly all do) in the protocol class, without ASGI.

ASGI creates a task, a cycle and several messages for each request, which cost about as much as the endpoint's own work.
A request that has to wait before the store has it (for more of its body, or for keys) takes the ASGI path; nothing has
happened to it by then.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, cast

from surehook.ingest import responses
from surehook.ingest.endpoint import IS_COMPLETE, STARTED_AT, WebhookEndpoint
from surehook.ingest.http.connection import ConnectionProtocol
from surehook.ingest.http.response_writer import HeadCache
from surehook.ingest.limits import Reservation
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.routes import spellings
from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.envelope import Envelope
from surehook.shared.errors import AuthenticationFailed, StoreError

log = logging.getLogger(__name__)


class FastPath:
    """State shared by the connections of a process. `endpoint` is set once the store has been checked."""

    def __init__(self, path: str) -> None:
        self.paths = frozenset(each.encode() for each in spellings(path))
        self.head_cache = HeadCache()
        self.endpoint: WebhookEndpoint | None = None


class FastPathProtocol(ConnectionProtocol):
    """Extends uvicorn's protocol, which starts the ASGI app after the headers: this one first looks for the body."""

    fast_path: FastPath

    is_chunked = False
    keeps_alive = True  # as the headers say; trailers change nothing
    _started_at = 0.0
    _chunks: list[bytes] | None = None  # the body so far, while neither path has been taken

    def on_headers_complete(self) -> None:
        # When many requests arrive together, the last one waits; that time counts against its deadline.
        self._started_at = time.perf_counter()
        if self.is_chunked:
            # Receives the trailers, which are only counted: a field after the body authenticates nothing.
            self.headers = self.headers.copy()
        if self._may_take_fast_path():
            self._chunks = []
        else:
            self.start_asgi()

    def start_asgi(self) -> None:
        """Start the ASGI app."""
        super().on_headers_complete()
        cast(dict[str, Any], self.scope)[STARTED_AT] = self._started_at

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
            self.start_asgi_with_buffered_body()
        cast(dict[str, Any], self.scope)[IS_COMPLETE] = True
        super().on_message_complete()

    def start_asgi_with_buffered_body(self) -> None:
        """Start the ASGI app unless a path has been taken: it reads what has arrived, and waits for the rest."""
        if self._chunks is None:
            return
        chunks, self._chunks = self._chunks, None
        self.start_asgi()
        for chunk in chunks:
            super().on_body(chunk)

    def _may_take_fast_path(self) -> bool:
        return (
            self.url in self.fast_path.paths
            and self.parser.get_method() == b"POST"
            and self.fast_path.endpoint is not None
            and (self.cycle is None or self.cycle.response_complete)  # a pipelined request waits
            and not self.expect_100_continue
            and not self.flow.write_paused  # the client does not read its responses
            and not self.is_chunked  # its trailers may still break HTTP's rules
        )

    def _deliver(self, chunks: list[bytes]) -> bool:
        endpoint = cast(WebhookEndpoint, self.fast_path.endpoint)
        is_kept_alive = self.keeps_alive and not self.is_stopping
        delivery = Delivery(self, endpoint, self._started_at, is_kept_alive=is_kept_alive)
        try:
            if not endpoint.receive_complete(self.scope["headers"], b"".join(chunks), delivery):
                return False
        except (AuthenticationFailed, Refusal, StoreError) as exc:
            # Deferred: a request that follows in the same read must find this one still pending.
            self.loop.call_soon(delivery.set_exception, exc)
        except Exception:  # noqa: BLE001 - it recurs on the ASGI path, which responds 500
            return False
        self.cycle = cast(Any, delivery)
        return True


class NullEvent:
    """The event that uvicorn sets when a connection is lost; nothing waits for it here."""

    def set(self) -> None: ...


class Disconnect(asyncio.Future[None]):
    """The event of a transaction: a future that uvicorn sets when the client has disconnected."""

    def set(self) -> None:
        if not self.done():
            self.set_result(None)


class Delivery:
    """A delivery that waits for the store, or for a transaction.

    It acts as uvicorn's `cycle`, and as the reply of a pending event.
    """

    # The attributes of a running cycle that uvicorn and our protocol use.
    message_event: NullEvent | Disconnect = NullEvent()
    more_body = False
    response_started = False
    response_complete = False
    disconnected = False

    def __init__(
        self, protocol: FastPathProtocol, endpoint: WebhookEndpoint, started_at: float, *, is_kept_alive: bool
    ) -> None:
        self._protocol = protocol
        self._endpoint = endpoint
        self.started_at = started_at
        self.keep_alive = is_kept_alive
        self.reservation: Reservation | None = None
        self.envelope: Envelope | None = None

    def done(self) -> bool:
        """True once it is answered, as for a future. A disconnect does not cancel it: the event is stored anyway."""
        return self.response_complete

    def set_result(self, outcome: AcceptResult) -> None:
        assert self.envelope is not None  # noqa: S101 - set when the event was passed to the acceptor
        try:
            self._finish(self._endpoint.respond(self.envelope, outcome, self.started_at))
        except Exception as exc:  # noqa: BLE001 - other deliveries of the batch wait for their responses
            self._abort(exc)

    def set_exception(self, error: AuthenticationFailed | Refusal | StoreError) -> None:
        try:
            self._finish(self._endpoint.refuse(error))
        except Exception as exc:  # noqa: BLE001 - other deliveries of the batch wait for their responses
            self._abort(exc)

    def expect_disconnect(self) -> Disconnect:
        self.message_event = disconnect = Disconnect(loop=self._protocol.loop)
        return disconnect

    def start(self, deciding: Coroutine[Any, Any, Response | None]) -> None:
        """Run the task of a transaction. It is one of uvicorn's, which a stopping process waits for."""
        tasks = self._protocol.tasks
        task = self._protocol.loop.create_task(self._answer(deciding))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _answer(self, deciding: Coroutine[Any, Any, Response | None]) -> None:
        try:
            response = await deciding
        except (Exception, asyncio.CancelledError):  # cancelled: the grace period has ended
            log.exception("response failed")
            response = responses.INTERNAL_ERROR
        try:
            self._finish(response)
        except Exception as exc:  # noqa: BLE001 - the connection must not stay
            self._abort(exc)

    def _abort(self, error: Exception) -> None:
        log.error("response failed", exc_info=error)
        self._release()
        self._protocol.transport.abort()
        del self._protocol

    def _release(self) -> None:
        self.response_complete = True
        if self.reservation is not None:
            self.reservation.release()
        self.reservation = self.envelope = None  # an idle connection keeps no body

    def _finish(self, response: Response | None) -> None:
        self._release()
        protocol = self._protocol
        if response is not None and not protocol.transport.is_closing():
            closes = not self.keep_alive or response.closes_connection
            server_headers = protocol.server_state.default_headers
            protocol.buffered.write_response(
                protocol.fast_path.head_cache.get(response, server_headers, closes=closes) + response.body
            )
            if closes:
                protocol.transport.close()
        protocol.on_response_complete()
        del self._protocol  # breaks a cycle; the garbage collector runs rarely here
