"""Transactional events at the door: ask the handlers, wait no longer than the deadline, answer with the truth.

A 2xx leaves only after the store has confirmed that the success still counts. Whatever else happens, a sender that was
not told yes is told no, and the success, if there is one, becomes an orphan: here, or in the sweep.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from uuid import uuid4

from starlette.types import Receive

from surehook.ingest import responses
from surehook.ingest.body import SenderLeft
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.batcher import Batcher
from surehook.ingest.store.session import Session
from surehook.ingest.transactional.heartbeat import Heartbeat
from surehook.ingest.transactional.outcomes import SENDER_GONE, TOO_LATE, Outcome, Outcomes, Waiter
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import Envelope
from surehook.shared.errors import StoreUnavailable
from surehook.shared.event_types import label
from surehook.shared.heartbeat import FORGOTTEN_AFTER_MS, process_name
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types

log = logging.getLogger(__name__)

CONFIRM_MS = 250
# How long after the deadline a sender may have to wait for a store that is slow just then.
LAST_CALL_SECONDS = 0.35
CONFIRM_AGAIN_SECONDS = 0.05
# Asking the store what stands, and answering. Where hundreds have one deadline, the last shall not be late.
ONE_ANSWER_SECONDS = 0.0004
LONGEST_HEAD_START_SECONDS = 0.1
FEW = 20
NO_ROUND = ""  # of no round that is under way, so it changes none
SCRIPT_NAMES = ("txn_submit", "txn_confirm", "txn_abandon")


@dataclass(frozen=True, slots=True)
class Question:
    """One delivery of a transactional event, and until when it has to be answered (time.perf_counter)."""

    envelope: Envelope
    deadline: float

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.perf_counter()


class Coordinator:
    """One per process. `ask` may be called once `run` is under way."""

    def __init__(self, settings: Settings, metrics: IngestMetrics, link: Session) -> None:
        self._settings = settings
        self._metrics = metrics
        self._types = transactional_types(settings.transactional_events)
        self._vault = BodyCipher(settings.encryption_keys)
        self._process = process_name()
        self._line = Batcher(link, settings, SCRIPT_NAMES)
        self._replies = Outcomes(settings, link, self._process)
        self._heart = Heartbeat(settings, link, self._process, self._types)
        self._background: set[asyncio.Task[None]] = set()

    def include(self, envelope: Envelope) -> bool:
        return self._types.include(envelope.event_type, envelope.tenant_id)

    async def ask(self, envelope: Envelope, receive: Receive, began: float) -> Response:
        """The answer to a delivery whose headers came at `began` (time.perf_counter).

        Raises:
            Refusal: there is nobody to decide, or no room.
            StoreUnavailable: it is not known what was decided.
            SenderLeft: nobody waits for the answer any more.
        """
        question = Question(envelope, began + self._settings.transaction_timeout)
        try:
            heard = await self._decision(question, receive)
        except StoreUnavailable:
            self._count(envelope, "unavailable")
            raise
        self._metrics.transaction_seconds.observe(time.perf_counter() - began)
        self._count(envelope, heard.state)
        if heard.state == "unattended":
            self._heart.miss_workers()
        return _answer(heard, envelope.event_id)

    async def run(self) -> None:
        """Beat, and listen where there is anything to hear, until `stop`."""
        async with asyncio.TaskGroup() as group:
            if self._types.entries:
                group.create_task(self._replies.run())
            group.create_task(self._heart.run())
        await asyncio.gather(*self._background)

    def stop(self) -> None:
        self._replies.stop()
        self._heart.stop()

    async def _decision(self, question: Question, receive: Receive) -> Outcome:
        event_id = question.envelope.event_id
        if question.seconds_left <= 0:
            return await self._what_stands(question)
        with self._replies.listening(event_id) as listener:
            heard = await self._submit(question)
            if heard.state == "settled":
                return await self._confirm(question, heard.round)
            if heard.state != "waiting":
                return heard
            listener.expect(heard.round)
            leaving = asyncio.create_task(_hang_up(receive))
            leaving.add_done_callback(lambda _: listener.give_up(SENDER_GONE))
            try:
                heard = await self._wait(listener, question)
                if heard.state == "completed" and heard.round:
                    heard = await self._confirm(question, heard.round)
                if heard.state == "completed" and leaving.done():
                    self._lose_answer("sender has left after the confirmation", event_id)
            finally:
                leaving.cancel()
        return heard

    async def _what_stands(self, question: Question) -> Outcome:
        """Nothing is asked for a body that took too long, but what was decided before is the answer to a copy."""
        state, reason = await self._last_call(question, "txn_confirm", NO_ROUND)
        return Outcome("", state, reason)

    async def _submit(self, question: Question) -> Outcome:
        envelope, settings = question.envelope, self._settings
        body, key_id = self._vault.seal(envelope.body)  # nothing readable leaves this process
        state, number, _, reason = await self._line.call(
            "txn_submit",
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_id,
            "webhook",
            body,
            f"{settings.handler_timeout:g}",
            uuid4().hex,
            lambda: max(0, round(question.seconds_left * 1000)),  # the store's deadline shall not be later than ours
            self._process,
            settings.decision_memory * 1000,
            CONFIRM_MS,
            settings.retention,
            FORGOTTEN_AFTER_MS,
            key_id,
            settings.max_backlog,
        )
        return Outcome(text(number), text(state), text(reason))

    async def _wait(self, listener: Waiter, question: Question) -> Outcome:
        seconds = question.seconds_left - head_start(self._replies.waiting)
        timer = asyncio.get_running_loop().call_later(seconds, listener.give_up, TOO_LATE)
        try:
            heard = await listener.future
        finally:
            timer.cancel()
        if heard is SENDER_GONE:
            self._leave(listener)
            raise SenderLeft
        if heard is not TOO_LATE:
            return heard
        return await self._insist(question, "txn_abandon", listener.round, 0)  # which confirms, if it still can

    async def _confirm(self, question: Question, number: str) -> Outcome:
        return await self._insist(question, "txn_confirm", number)

    async def _insist(self, question: Question, name: str, number: str, *more: int) -> Outcome:
        """Until the reply is there, or it is too late: whether a yes was confirmed may be asked for again."""
        until = question.deadline + CONFIRM_MS / 1000
        while True:
            try:
                state, reason = await self._last_call(question, name, number, *more)
            except StoreUnavailable:
                if time.perf_counter() > until:
                    self._lose_answer("store did not say in time what stands", question.envelope.event_id)
                    raise
                await asyncio.sleep(CONFIRM_AGAIN_SECONDS)
            else:
                return Outcome("", state, reason)

    async def _last_call(self, question: Question, name: str, number: str, *more: int) -> tuple[str, str]:
        try:
            async with asyncio.timeout(max(0.0, question.seconds_left) + LAST_CALL_SECONDS):
                state, reason = await self._line.call(name, question.envelope.event_id, number, *more)
        except TimeoutError:
            raise StoreUnavailable from None
        return text(state), text(reason)

    def _leave(self, listener: Waiter) -> None:
        """The sender hung up, so it will take this for a no: abandon at once."""
        task = asyncio.create_task(self._abandon(listener.event_id, listener.round))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _abandon(self, event_id: str, number: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # the sweep finds it
            await self._line.call("txn_abandon", event_id, number, 1)

    def _lose_answer(self, why: str, event_id: str) -> None:
        self._metrics.answers_lost.inc()
        log.warning("answer lost", extra={"event_id": event_id, "reason": why})

    def _count(self, envelope: Envelope, outcome: str) -> None:
        self._metrics.transactions.labels(label(envelope.event_type), outcome).inc()


def head_start(waiting: int) -> float:
    """How many seconds before its deadline one of so many gives up: their answers take that long to make together."""
    return min(max(0, waiting - FEW) * ONE_ANSWER_SECONDS, LONGEST_HEAD_START_SECONDS)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _answer(heard: Outcome, event_id: str) -> Response:
    """Raises Refusal where there is nobody to decide, or no room."""
    match heard.state:
        case "completed":
            return responses.completed(event_id)
        case "rejected":
            return responses.rejected(heard.reason)
        case "failed":
            return responses.HANDLER_FAILED
        case "duplicate":
            return responses.duplicate(event_id)
        case "unattended":
            raise Refusal(responses.UNATTENDED, "no_worker")
        case "paused":
            raise Refusal(responses.UNATTENDED, "paused")
        case "backlog":
            raise Refusal(responses.UNAVAILABLE, "backlog_full")
    return responses.DEADLINE_EXCEEDED
