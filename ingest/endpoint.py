"""POST of a webhook: authenticate, check size and type, read the body, parse it, store the event, respond."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from surehook.ingest import responses
from surehook.ingest.auth.credentials import Authenticator, Headers, Waiting
from surehook.ingest.auth.signature import require_signed_body
from surehook.ingest.body import SenderLeft, check_headers, read_body
from surehook.ingest.large_body import LARGE_BODY_BYTES, parse_large_envelope
from surehook.ingest.limits import Limits, Reservation
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.rate_limited_log import RateLimitedLog
from surehook.ingest.refusals import Refusals
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.store.acceptor import Acceptor, Pending
from surehook.ingest.store.batcher import ReplyReceiver
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import AuthenticationFailed, BacklogFull, MalformedBody, SpoolFull, StoreError, StoreFull

if TYPE_CHECKING:
    from surehook.ingest.accept_tracer import AcceptTracer

log = logging.getLogger(__name__)

STARTED_AT = "surehook.started_at"  # in an ASGI scope: when the headers had arrived, by time.perf_counter()
IS_COMPLETE = "surehook.is_complete"  # in an ASGI scope: present if the whole body has arrived
STORE_REASONS: dict[type[StoreError], str] = {
    StoreFull: "store_full",
    BacklogFull: "backlog_full",
    SpoolFull: "spool_full",
}


class PendingResponse(ReplyReceiver, Protocol):
    """The response to a delivery that has arrived completely; it receives what `Acceptor.accept` returns or raises."""

    started_at: float
    envelope: Envelope | None
    reservation: Reservation | None

    def expect_disconnect(self) -> "asyncio.Future[None]":
        """A future that is done once the client has disconnected."""

    def start(self, deciding: Coroutine[Any, Any, Response | None], /) -> None:
        """Run a task that returns the response, None if the client has disconnected."""


class WebhookEndpoint:
    """Handles deliveries: `__call__` through ASGI, `receive_complete` without waiting for anything but the store."""

    def __init__(
        self,
        authenticator: Authenticator,
        limits: Limits,
        acceptor: Acceptor,
        metrics: IngestMetrics,
        refusals: Refusals,
        *,
        max_body_bytes: int,
        coordinator: Coordinator | None = None,
        tracer: "AcceptTracer | None" = None,
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._acceptor = acceptor
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._coordinator = coordinator
        self._tracer = tracer
        self._parsing = asyncio.Lock()
        self._count_refusal = refusals.count
        self._duplicate_log = RateLimitedLog("duplicate delivery", logging.INFO)
        self._uncounted: list[tuple[Envelope, AcceptResult, float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond_to(self._receive(scope, receive))
        if response is not None:
            await reply(response, send)

    def receive_complete(self, headers: Headers, body: bytes, pending: PendingResponse) -> bool:
        """Take the steps of `_receive` for a delivery that has arrived completely, up to the store.

        `pending` receives the outcome later. False if a step up to there would have to wait (for keys, for more of the
        body or its parsing): then nothing has happened, and the delivery goes through ASGI.

        Raises:
            AuthenticationFailed, Refusal, StoreError: pass it to `refuse`.
        """
        signed_digest = self._authenticator.authenticate_now(headers)
        if signed_digest is Waiting.FOR_KEYS:
            return False
        reservation, announced_bytes = self._admit(headers)
        is_started = False
        try:
            if announced_bytes == len(body) <= LARGE_BODY_BYTES:
                envelope = _parse(body, signed_digest)
                if self._tracer is not None:
                    envelope = self._tracer.with_trace(envelope, headers)
                if self._is_transactional(envelope):
                    deciding = self._decide(envelope, pending.expect_disconnect(), pending.started_at)
                    pending.start(self._respond_to(deciding))
                else:
                    self._acceptor.put(Pending(envelope, pending))
                pending.envelope, pending.reservation = envelope, reservation  # from here on, `pending` releases it
                is_started = True
        finally:
            if not is_started:
                reservation.release()
        return is_started

    async def _respond_to(self, receiving: Awaitable[Response]) -> Response | None:
        """The response to a delivery, also if it is refused; None if the client has disconnected."""
        try:
            return await receiving
        except (AuthenticationFailed, Refusal, StoreError) as exc:
            return self.refuse(exc)
        except SenderLeft:
            self._count_refusal("sender_left")
            return None

    async def _receive(self, scope: Scope, receive: Receive) -> Response:
        started_at = scope.get(STARTED_AT) or time.perf_counter()
        headers = scope["headers"]
        signed_digest = await self._authenticator.authenticate(headers)
        reservation, _ = self._admit(headers)
        try:
            body = await read_body(receive, self._max_body_bytes, reservation, is_complete=IS_COMPLETE in scope)
            envelope = await self._parse(body, signed_digest)
            if self._tracer is not None:
                envelope = self._tracer.with_trace(envelope, headers)
            if self._is_transactional(envelope):
                disconnect = asyncio.create_task(_disconnect(receive))
                try:
                    return await self._decide(envelope, disconnect, started_at)
                finally:
                    disconnect.cancel()
            return self.respond(envelope, await self._acceptor.accept(envelope), started_at)
        finally:
            reservation.release()

    async def _decide(self, envelope: Envelope, disconnect: "asyncio.Future[None]", started_at: float) -> Response:
        assert self._coordinator is not None  # noqa: S101 - or no event is transactional
        outcome = "none"
        try:
            response = await self._coordinator.decide(envelope, disconnect, started_at)
            outcome = str(response.status)
        finally:
            if self._tracer is not None:
                self._tracer.record(envelope, outcome, time.perf_counter() - started_at)
        return response

    async def _parse(self, body: bytes, signed_digest: bytes | None) -> Envelope:
        """Parse the body; a large one with pauses, so that other deliveries do not wait.

        Raises:
            AuthenticationFailed, Refusal: as `_parse`.
        """
        if len(body) <= LARGE_BODY_BYTES:
            return _parse(body, signed_digest)
        if signed_digest is not None:
            await asyncio.to_thread(require_signed_body, body, signed_digest)
        try:
            return await parse_large_envelope(body, self._parsing)
        except MalformedBody as exc:
            raise Refusal(responses.malformed(str(exc)), "malformed") from exc

    def _admit(self, headers: Headers) -> tuple[Reservation, int]:
        """Check size and type, and reserve room for the body. Returns the announced size too, 0 if there is none.

        Raises:
            Refusal: the delivery is too large or of another type, or there is no room for it.
        """
        announced_bytes = check_headers(dict(headers), self._max_body_bytes)
        return self._limits.reserve(announced_bytes), announced_bytes

    def _is_transactional(self, envelope: Envelope) -> bool:
        return self._coordinator is not None and self._coordinator.include(envelope)

    def respond(self, envelope: Envelope, outcome: AcceptResult, started_at: float) -> Response:
        """The response to an event that is in the store, or in the spool."""
        if not self._uncounted:
            # Metrics and logs are written after the responses of this iteration of the loop have left.
            asyncio.get_running_loop().call_soon(self._count)
        self._uncounted.append((envelope, outcome, time.perf_counter() - started_at))
        if outcome is AcceptResult.DUPLICATE:
            return responses.duplicate(envelope.event_id)
        return responses.accepted(envelope.event_id)

    def refuse(self, error: AuthenticationFailed | Refusal | StoreError) -> Response:
        """The response to a delivery that is refused, or that the store does not accept."""
        if isinstance(error, Refusal):
            self._count_refusal(error.reason)
            return error.response
        if isinstance(error, AuthenticationFailed):
            self._count_refusal(str(error))
            return responses.NOT_AUTHORIZED
        self._count_refusal(STORE_REASONS.get(type(error), "store_unavailable"))
        return responses.UNAVAILABLE

    def _count(self) -> None:
        uncounted, self._uncounted = self._uncounted, []
        is_debug = log.isEnabledFor(logging.DEBUG)
        for envelope, outcome, seconds in uncounted:
            self._metrics.accept_seconds.observe(seconds)
            if self._tracer is not None:
                self._tracer.record(envelope, outcome.name.lower(), seconds)
            if is_debug:
                fields = {"event_id": envelope.event_id, "event_type": envelope.event_type, "outcome": outcome.value}
                log.debug("event accepted", extra=fields)
            if outcome is AcceptResult.DUPLICATE:
                self._metrics.duplicates.inc()
                self._duplicate_log.add("", event_id=envelope.event_id, event_type=envelope.event_type)
            else:
                self._metrics.count_accepted(envelope.event_type)


def _parse(body: bytes, signed_digest: bytes | None) -> Envelope:
    """
    Raises:
        AuthenticationFailed: another body was signed.
        Refusal: it is not an event.
    """
    if signed_digest is not None:
        require_signed_body(body, signed_digest)
    try:
        return parse_envelope(body)
    except MalformedBody as exc:
        raise Refusal(responses.malformed(str(exc)), "malformed") from exc


async def _disconnect(receive: Receive) -> None:
    """Return once the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reply(response: Response, send: Send) -> None:
    start: Message = {"type": "http.response.start", "status": response.status, "headers": response.all_headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.body})
