"""Decides transactional events: submits them, waits until the deadline, responds with the confirmed outcome.

A 2xx response is sent only after the store has confirmed that the success still counts. In every other case the sender
gets an error or nothing, and a success becomes an orphan: when this process abandons the event, or in the recovery.
"""

import asyncio
import contextlib
import time

from surehook.ingest import responses
from surehook.ingest.body import SenderLeft
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.responses import Refusal, Response
from surehook.ingest.store.script_batcher import ScriptBatcher
from surehook.ingest.store.session import Session
from surehook.ingest.transactional.heartbeat import Heartbeat
from surehook.ingest.transactional.lost_responses import LostResponses
from surehook.ingest.transactional.outcomes import SENDER_GONE, TOO_LATE, Outcome, Outcomes, Waiter
from surehook.ingest.transactional.submission import CONFIRM_MS, Request, Submission
from surehook.shared.envelope import Envelope
from surehook.shared.errors import StoreUnavailable
from surehook.shared.event_types import label
from surehook.shared.heartbeat import process_name
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types

# How long past the deadline a response may wait for a slow store.
STORE_GRACE_SECONDS = 0.35
CONFIRM_RETRY_SECONDS = 0.05
# The time to fetch an outcome from the store and respond. With hundreds of equal deadlines, the last must not be late.
RESPONSE_SECONDS = 0.0004
MAX_HEAD_START_SECONDS = 0.1
WAITERS_WITHOUT_HEAD_START = 20
NO_ROUND = ""  # matches no round, so it changes none
SCRIPT_NAMES = ("txn_submit", "txn_confirm", "txn_abandon", "txn_lost", "remember_trace")


class Coordinator:
    """Decides the transactional events of one process. `decide` may be called once `run` has started."""

    def __init__(self, settings: Settings, metrics: IngestMetrics, session: Session) -> None:
        self._settings = settings
        self._metrics = metrics
        self._types = transactional_types(settings.transactional_events)
        process = process_name()
        self._batcher = ScriptBatcher(session, settings, SCRIPT_NAMES)
        self._submission = Submission(settings, self._batcher, process)
        self._outcomes = Outcomes(settings, session, process)
        self._heartbeat = Heartbeat(settings, session, process, self._types)
        self._lost = LostResponses(self._batcher, metrics, retention_seconds=settings.retention)
        self._background: set[asyncio.Task[None]] = set()

    def include(self, envelope: Envelope) -> bool:
        return self._types.include(envelope.event_type, envelope.tenant_id)

    async def decide(self, envelope: Envelope, disconnect: "asyncio.Future[None]", started_at: float) -> Response:
        """Decide a delivery whose headers arrived at `started_at` (time.perf_counter), and return the response.

        `disconnect` is done once the client has disconnected.

        Raises:
            Refusal: no worker is available, or the backlog is full.
            StoreUnavailable: the outcome is unknown.
            SenderLeft: the client disconnected.
        """
        request = Request(envelope, started_at + self._settings.transaction_timeout)
        try:
            outcome = await self._await_outcome(request, disconnect)
        except StoreUnavailable:
            self._count(envelope, "unavailable")
            raise
        self._metrics.transaction_seconds.observe(time.perf_counter() - started_at)
        self._count(envelope, outcome.state)
        if outcome.state == "no_worker":
            self._heartbeat.log_missing_workers()
        return _response_for(outcome, envelope.event_id)

    async def run(self) -> None:
        """Send heartbeats and, if any type is transactional, receive outcomes, until `stop`."""
        async with asyncio.TaskGroup() as group:
            if self._types.entries:
                group.create_task(self._outcomes.run())
                group.create_task(self._lost.run())
            group.create_task(self._heartbeat.run())
        await asyncio.gather(*self._background)

    def stop(self) -> None:
        self._outcomes.stop()
        self._lost.stop()
        self._heartbeat.stop()

    async def _await_outcome(self, request: Request, disconnect: "asyncio.Future[None]") -> Outcome:
        event_id = request.envelope.event_id
        if request.seconds_left <= 0:
            return await self._recorded_outcome(request)
        with self._outcomes.waiting_for(event_id) as waiter:
            outcome = await self._submission.submit(request)
            if outcome.state == "unconfirmed":
                return await self._confirm(request, outcome.round)
            if outcome.state != "waiting":
                return outcome
            waiter.set_round(outcome.round)
            disconnect.add_done_callback(lambda _: waiter.cancel(SENDER_GONE))
            outcome = await self._wait(waiter, request)
            if outcome.state == "completed" and outcome.round:
                outcome = await self._confirm(request, outcome.round)
            if outcome.state == "completed" and disconnect.done():
                self._lost.add(event_id, waiter.round, "the sender disconnected after the confirmation")
        return outcome

    async def _recorded_outcome(self, request: Request) -> Outcome:
        """Look up an earlier decision; a body that arrived after the deadline starts no new round."""
        return Outcome("", *await self._call_by_deadline(request, "txn_confirm", NO_ROUND))

    async def _wait(self, waiter: Waiter, request: Request) -> Outcome:
        seconds = request.seconds_left - head_start(self._outcomes.waiter_count)
        timer = asyncio.get_running_loop().call_later(seconds, waiter.cancel, TOO_LATE)
        try:
            outcome = await waiter.future
        finally:
            timer.cancel()
        if outcome is SENDER_GONE:
            self._abandon_in_background(waiter)
            raise SenderLeft
        if outcome is not TOO_LATE:
            return outcome
        # Confirms a success that is still in time.
        return await self._call_until_known(request, "txn_abandon", waiter.round, 0)

    async def _confirm(self, request: Request, round_id: str) -> Outcome:
        return await self._call_until_known(request, "txn_confirm", round_id)

    async def _call_until_known(self, request: Request, name: str, round_id: str, *more: int) -> Outcome:
        """Repeat the call until the store replies or it is too late; repeating a confirmation is safe."""
        stop_retrying_at = request.deadline + CONFIRM_MS / 1000
        while True:
            try:
                state, reason = await self._call_by_deadline(request, name, round_id, *more)
            except StoreUnavailable:
                if time.perf_counter() > stop_retrying_at:
                    event_id = request.envelope.event_id
                    await self._lost.add_and_ask(event_id, round_id, "the store did not report the outcome in time")
                    raise
                await asyncio.sleep(CONFIRM_RETRY_SECONDS)
            else:
                return Outcome("", state, reason)

    async def _call_by_deadline(self, request: Request, name: str, round_id: str, *more: int) -> tuple[str, str]:
        try:
            async with asyncio.timeout(max(0.0, request.seconds_left) + STORE_GRACE_SECONDS):
                state, reason = await self._batcher.call(name, request.envelope.event_id, round_id, *more)
        except TimeoutError:
            raise StoreUnavailable from None
        return text(state), text(reason)

    def _abandon_in_background(self, waiter: Waiter) -> None:
        """Abandon the event immediately: a client that disconnects takes the transaction for refused."""
        task = asyncio.create_task(self._abandon(waiter.event_id, waiter.round))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _abandon(self, event_id: str, round_id: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # the recovery finds it
            await self._batcher.call("txn_abandon", event_id, round_id, 1)

    def _count(self, envelope: Envelope, outcome: str) -> None:
        self._metrics.transactions.labels(label(envelope.event_type), outcome).inc()


def head_start(waiter_count: int) -> float:
    """Seconds before the deadline at which waiting stops, so that all responses are ready by the deadline."""
    return min(max(0, waiter_count - WAITERS_WITHOUT_HEAD_START) * RESPONSE_SECONDS, MAX_HEAD_START_SECONDS)


def _response_for(outcome: Outcome, event_id: str) -> Response:
    """The response to an outcome. Raises Refusal if no worker is available or the backlog is full."""
    match outcome.state:
        case "completed":
            return responses.completed(event_id)
        case "rejected":
            return responses.rejected(outcome.reason)
        case "failed":
            return responses.HANDLER_FAILED
        case "duplicate":
            return responses.duplicate(event_id)
        case "no_worker":
            raise Refusal(responses.NO_WORKER, "no_worker")
        case "paused":
            raise Refusal(responses.NO_WORKER, "paused")
        case "backlog":
            raise Refusal(responses.UNAVAILABLE, "backlog_full")
    return responses.DEADLINE_EXCEEDED
