"""One delivery, from its headers to its answer."""

import asyncio
import logging
import time
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from surehook.ingest import responses
from surehook.ingest.auth.credentials import Authenticator, Headers, Waiting
from surehook.ingest.auth.signature import require_signed_body
from surehook.ingest.body import SenderLeft, check_headers, read_body
from surehook.ingest.limits import Limits, Reservation
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.acceptor import Acceptor, Outcome, Pending, Receiver
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import AuthenticationFailed, BacklogFull, MalformedBody, StoreError, StoreFull

log = logging.getLogger(__name__)

BEGAN_AT = "surehook.began"  # in an ASGI scope: when its headers were there, by time.perf_counter()
IS_COMPLETE = "surehook.is_whole"  # there if all of its body has come, so nobody need wait for any
LOG_EVERY_SECONDS = 1.0
STORE_REASONS: dict[type[StoreError], str] = {StoreFull: "store_full", BacklogFull: "backlog_full"}


class PendingResponse(Receiver, Protocol):
    """A delivery that is there as a whole: what `begin` gives it to be answered with."""

    began: float
    envelope: Envelope | None
    reservation: Reservation | None


class WebhookEndpoint:
    """The endpoint for deliveries: proof, then size and type, then the body, then the store, then the answer."""

    def __init__(
        self,
        authenticator: Authenticator,
        limits: Limits,
        acceptor: Acceptor,
        metrics: IngestMetrics,
        *,
        max_body_bytes: int,
        coordinator: Coordinator | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._acceptor = acceptor
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._coordinator = coordinator
        self._refusal_log = RateLimitedLog()
        self._not_counted: list[tuple[Envelope, Outcome, float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._receive(scope, receive)
        except (AuthenticationFailed, Refusal, StoreError) as exc:
            response = self.refuse(exc)
        except SenderLeft:
            self._count_refusal("sender_left")
            return
        await reply(response, send)

    def start(self, headers: Headers, body: bytes, pending: PendingResponse) -> bool:
        """The same steps for a delivery that is there as a whole, up to the store, which it waits for by itself.

        False if one of them has to be waited for: then nothing has happened.

        Raises:
            AuthenticationFailed, Refusal, StoreError: to be answered by `refuse`.
        """
        signed_digest = self._authenticator.authenticate_now(headers)
        if signed_digest is Waiting.FOR_KEYS:
            return False
        if check_headers(dict(headers), self._max_body_bytes) != len(body):
            return False
        reservation = self._limits.reserve()
        is_started = False
        try:
            reservation.grow_to(len(body))
            envelope = _parse(body, signed_digest)
            if self._coordinator is None or not self._coordinator.include(envelope):
                self._acceptor.put(Pending(envelope, pending))
                pending.envelope, pending.reservation = envelope, reservation  # which it releases itself from here on
                is_started = True
        finally:
            if not is_started:
                reservation.release()
        return is_started

    def respond(self, envelope: Envelope, outcome: Outcome, began: float) -> Response:
        """To an event that is in the store."""
        if not self._not_counted:
            # Behind the answers, which leave in this turn of the loop: nobody need wait for what we count.
            asyncio.get_running_loop().call_soon(self._count)
        self._not_counted.append((envelope, outcome, time.perf_counter() - began))
        if outcome is Outcome.DUPLICATE:
            return responses.duplicate(envelope.event_id)
        return responses.accepted(envelope.event_id)

    def refuse(self, error: AuthenticationFailed | Refusal | StoreError) -> Response:
        """The answer to a delivery that is not let in, or that the store does not take."""
        if isinstance(error, Refusal):
            self._count_refusal(error.reason)
            return error.response
        if isinstance(error, AuthenticationFailed):
            self._count_refusal(str(error))
            return responses.NOT_AUTHORIZED
        self._count_refusal(STORE_REASONS.get(type(error), "store_unavailable"))
        return responses.UNAVAILABLE

    async def _receive(self, scope: Scope, receive: Receive) -> Response:
        began = scope.get(BEGAN_AT) or time.perf_counter()
        headers = scope["headers"]
        signed_digest = await self._authenticator.authenticate(headers)
        announced_bytes = check_headers(dict(headers), self._max_body_bytes)
        reservation = self._limits.reserve()
        try:
            reservation.grow_to(announced_bytes)
            body = await read_body(receive, self._max_body_bytes, reservation, is_complete=IS_COMPLETE in scope)
            envelope = _parse(body, signed_digest)
            if self._coordinator is not None and self._coordinator.include(envelope):
                return await self._coordinator.decide(envelope, receive, began)
            return self.respond(envelope, await self._acceptor.accept(envelope), began)
        finally:
            reservation.release()

    def _count(self) -> None:
        not_counted, self._not_counted = self._not_counted, []
        is_debug = log.isEnabledFor(logging.DEBUG)
        for envelope, outcome, seconds in not_counted:
            self._metrics.accept_seconds.observe(seconds)
            if is_debug:
                fields = {"event_id": envelope.event_id, "event_type": envelope.event_type, "outcome": outcome.value}
                log.debug("event accepted", extra=fields)
            if outcome is Outcome.DUPLICATE:
                self._metrics.duplicates.inc()
            else:
                self._metrics.count_accepted(envelope.event_type)

    def _count_refusal(self, reason: str) -> None:
        self._metrics.refused.labels(reason).inc()
        self._refusal_log.add(reason)


def _parse(body: bytes, signed_digest: bytes | None) -> Envelope:
    """
    Raises:
        AuthenticationFailed: it is another body than the one that was signed.
        Refusal: it is no event.
    """
    if signed_digest is not None:
        require_signed_body(body, signed_digest)
    try:
        return parse_envelope(body)
    except MalformedBody as exc:
        raise Refusal(responses.malformed(str(exc)), "malformed") from exc


class RateLimitedLog:
    """One line a second for each kind of refusal, with a count: a flood of strangers must not flood the log."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, reason: str) -> None:
        if reason in self._counts:
            self._counts[reason] += 1
            return
        self._counts[reason] = 0
        log.warning("delivery refused", extra={"reason": reason, "count": 1})
        asyncio.get_running_loop().call_later(LOG_EVERY_SECONDS, self._log_count, reason)

    def _log_count(self, reason: str) -> None:
        if count := self._counts.pop(reason):
            log.warning("delivery refused", extra={"reason": reason, "count": count})


async def reply(response: Response, send: Send) -> None:
    start: Message = {"type": "http.response.start", "status": response.status, "headers": response.all_headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.body})
