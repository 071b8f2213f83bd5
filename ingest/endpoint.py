"""One delivery, from its headers to its answer."""

import asyncio
import logging
import time
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from surehook.ingest import responses
from surehook.ingest.auth.credentials import Authenticator, Headers, KeysAreAwaited
from surehook.ingest.auth.signature import refuse_other_body
from surehook.ingest.body import SenderLeft, read_body, refuse_by_header
from surehook.ingest.limits import Limits, Reservation
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.acceptor import Acceptor, Outcome, Pending, Reply
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.errors import AuthenticationFailed, BacklogFull, MalformedBody, StoreError, StoreFull

log = logging.getLogger(__name__)

BEGAN = "surehook.began"  # in an ASGI scope: when its headers were there, by time.perf_counter()
IS_WHOLE = "surehook.is_whole"  # there if all of its body has come, so nobody need wait for any
LOG_REFUSALS_EVERY_SECONDS = 1.0
STORE_REASONS: dict[type[StoreError], str] = {StoreFull: "store_full", BacklogFull: "backlog_full"}


class PendingResponse(Reply, Protocol):
    """A delivery that is there as a whole: what `begin` gives it to be answered with."""

    began: float
    envelope: Envelope | None
    hold: Reservation | None


class WebhookEndpoint:
    """The endpoint for deliveries: proof, then size and type, then the body, then the store, then the answer."""

    def __init__(
        self,
        proof: Authenticator,
        bounds: Limits,
        intake: Acceptor,
        metrics: IngestMetrics,
        *,
        max_body_bytes: int,
        transactions: Coordinator | None = None,
    ) -> None:
        self._proof = proof
        self._bounds = bounds
        self._intake = intake
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._transactions = transactions
        self._refusals = RefusalLog()
        self._uncounted: list[tuple[Envelope, Outcome, float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._take(scope, receive)
        except (AuthenticationFailed, Refusal, StoreError) as exc:
            answer = self.refuse(exc)
        except SenderLeft:
            self._count_refusal("sender_left")
            return
        await reply(answer, send)

    def begin(self, headers: Headers, body: bytes, whole: PendingResponse) -> bool:
        """The same steps for a delivery that is there as a whole, up to the store, which it waits for by itself.

        False if one of them has to be waited for: then nothing has happened.

        Raises:
            AuthenticationFailed, Refusal, StoreError: to be answered by `refuse`.
        """
        try:
            signed_digest = self._proof.of_headers_now(headers)
        except KeysAreAwaited:
            return False
        if refuse_by_header(dict(headers), self._max_body_bytes) != len(body):
            return False
        hold = self._bounds.hold()
        is_begun = False
        try:
            hold.grow_to(len(body))
            envelope = _read(body, signed_digest)
            if self._transactions is None or not self._transactions.include(envelope):
                self._intake.put(Pending(envelope, whole))
                whole.envelope, whole.hold = envelope, hold  # its own from here on: it gives its place back
                is_begun = True
        finally:
            if not is_begun:
                hold.release()
        return is_begun

    def answer(self, envelope: Envelope, outcome: Outcome, began: float) -> Response:
        """To an event that is in the store."""
        if not self._uncounted:
            # Behind the answers, which leave in this turn of the loop: nobody need wait for what we count.
            asyncio.get_running_loop().call_soon(self._count)
        self._uncounted.append((envelope, outcome, time.perf_counter() - began))
        if outcome is Outcome.DUPLICATE:
            return responses.duplicate(envelope.event_id)
        return responses.accepted(envelope.event_id)

    def refuse(self, error: AuthenticationFailed | Refusal | StoreError) -> Response:
        """The answer to a delivery that is not let in, or that the store does not take."""
        if isinstance(error, Refusal):
            self._count_refusal(error.reason)
            return error.answer
        if isinstance(error, AuthenticationFailed):
            self._count_refusal(str(error))
            return responses.NOT_AUTHORIZED
        self._count_refusal(STORE_REASONS.get(type(error), "store_unavailable"))
        return responses.UNAVAILABLE

    async def _take(self, scope: Scope, receive: Receive) -> Response:
        began = scope.get(BEGAN) or time.perf_counter()
        headers = scope["headers"]
        signed_digest = await self._proof.of_headers(headers)
        announced_bytes = refuse_by_header(dict(headers), self._max_body_bytes)
        hold = self._bounds.hold()
        try:
            hold.grow_to(announced_bytes)
            body = await read_body(receive, self._max_body_bytes, hold, is_whole=IS_WHOLE in scope)
            envelope = _read(body, signed_digest)
            if self._transactions is not None and self._transactions.include(envelope):
                return await self._transactions.ask(envelope, receive, began)
            return self.answer(envelope, await self._intake.accept(envelope), began)
        finally:
            hold.release()

    def _count(self) -> None:
        uncounted, self._uncounted = self._uncounted, []
        is_logged = log.isEnabledFor(logging.DEBUG)
        for envelope, outcome, seconds in uncounted:
            self._metrics.accept_seconds.observe(seconds)
            if is_logged:
                facts = {"event_id": envelope.event_id, "event_type": envelope.event_type, "outcome": outcome.value}
                log.debug("event accepted", extra=facts)
            if outcome is Outcome.DUPLICATE:
                self._metrics.duplicates.inc()
            else:
                self._metrics.count_accepted(envelope.event_type)

    def _count_refusal(self, reason: str) -> None:
        self._metrics.refused.labels(reason).inc()
        self._refusals.add(reason)


def _read(body: bytes, signed_digest: bytes | None) -> Envelope:
    """
    Raises:
        AuthenticationFailed: it is another body than the one that was signed.
        Refusal: it is no event.
    """
    if signed_digest is not None:
        refuse_other_body(body, signed_digest)
    try:
        return parse_envelope(body)
    except MalformedBody as exc:
        raise Refusal(responses.malformed(str(exc)), "malformed") from exc


class RefusalLog:
    """One line a second for each kind of refusal, with a count: a flood of strangers must not flood the log."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, reason: str) -> None:
        if reason in self._counts:
            self._counts[reason] += 1
            return
        self._counts[reason] = 0
        log.warning("delivery refused", extra={"reason": reason, "count": 1})
        asyncio.get_running_loop().call_later(LOG_REFUSALS_EVERY_SECONDS, self._tell, reason)

    def _tell(self, reason: str) -> None:
        if count := self._counts.pop(reason):
            log.warning("delivery refused", extra={"reason": reason, "count": count})


async def reply(answer: Response, send: Send) -> None:
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": answer.fields}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})
