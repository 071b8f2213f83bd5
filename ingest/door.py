"""One delivery, from its headers to its answer."""

import asyncio
import logging
import time

from starlette.types import Message, Receive, Scope, Send

from ingest import answers
from ingest.answers import Answer, Refusal
from ingest.body import SenderLeft, read_body, refuse_by_header
from ingest.bounds import Bounds
from ingest.intake import Intake, Outcome
from ingest.metrics import DoorMetrics
from ingest.proof import Proof
from ingest.protocol import BEGAN, IS_WHOLE
from ingest.signature import refuse_other_body
from ingest.transactions import Transactions
from shared.errors import AuthenticationFailed, BacklogFull, MalformedBody, StoreError, StoreFull
from shared.events import Envelope, parse_envelope

log = logging.getLogger(__name__)

LOG_REFUSALS_EVERY_SECONDS = 1.0
STORE_REASONS: dict[type[StoreError], str] = {StoreFull: "store_full", BacklogFull: "backlog_full"}


class Door:
    """The endpoint for deliveries: proof, then size and type, then the body, then the store, then the answer."""

    def __init__(
        self,
        proof: Proof,
        bounds: Bounds,
        intake: Intake,
        metrics: DoorMetrics,
        *,
        max_body_bytes: int,
        transactions: Transactions | None = None,
    ) -> None:
        self._proof = proof
        self._bounds = bounds
        self._intake = intake
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._transactions = transactions
        self._refusals = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except Refusal as refusal:
            self._refuse(refusal.reason)
            answer = refusal.answer
        except AuthenticationFailed as exc:
            self._refuse(str(exc))
            answer = answers.NOT_AUTHORIZED
        except SenderLeft:
            self._refuse("sender_left")
            return
        await reply(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        began = scope.get(BEGAN) or time.perf_counter()
        headers = scope["headers"]
        signed_digest = await self._proof.of_headers(headers)
        announced_bytes = refuse_by_header(dict(headers), self._max_body_bytes)
        hold = self._bounds.hold()
        try:
            hold.grow_to(announced_bytes)
            body = await read_body(receive, self._max_body_bytes, hold, is_whole=IS_WHOLE in scope)
            if signed_digest is not None:
                refuse_other_body(body, signed_digest)
            return await self._keep(body, receive, began)
        finally:
            hold.release()

    async def _keep(self, body: bytes, receive: Receive, began: float) -> Answer:
        try:
            envelope = parse_envelope(body)
        except MalformedBody as exc:
            raise Refusal(answers.malformed(str(exc)), "malformed") from exc
        try:
            if self._transactions is not None and self._transactions.include(envelope):
                return await self._transactions.ask(envelope, receive, began)
            return await self._store(envelope, began)
        except StoreError as exc:
            raise Refusal(answers.UNAVAILABLE, STORE_REASONS.get(type(exc), "store_unavailable")) from exc

    async def _store(self, envelope: Envelope, began: float) -> Answer:
        outcome = await self._intake.accept(envelope)
        # Behind the answer, which leaves in this turn of the loop: nobody need wait for what we count.
        asyncio.get_running_loop().call_soon(self._count, envelope, outcome, time.perf_counter() - began)
        if outcome is Outcome.DUPLICATE:
            return answers.duplicate(envelope.event_id)
        return answers.accepted(envelope.event_id)

    def _count(self, envelope: Envelope, outcome: Outcome, seconds: float) -> None:
        self._metrics.accept_seconds.observe(seconds)
        if log.isEnabledFor(logging.DEBUG):
            facts = {"event_id": envelope.event_id, "event_type": envelope.event_type, "outcome": outcome.value}
            log.debug("event accepted", extra=facts)
        if outcome is Outcome.DUPLICATE:
            self._metrics.duplicates.inc()
        else:
            self._metrics.count_accepted(envelope.event_type)

    def _refuse(self, reason: str) -> None:
        self._metrics.refused.labels(reason).inc()
        self._refusals.add(reason)


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


async def reply(answer: Answer, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})
