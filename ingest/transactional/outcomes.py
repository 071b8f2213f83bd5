"""Receives the outcomes of an ingest process's transactional events, on one blocking connection for all requests.

A lost reply costs time but never changes the outcome: at its deadline each request fetches it from the store.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, Connection, ErrorReply, open_connection, pack
from surehook.ingest.store.connection import Replies as StoreReplies
from surehook.ingest.store.session import Session
from surehook.shared.backoff import pause_seconds
from surehook.shared.errors import StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import close_async, connect_async
from surehook.shared.store_errors import advice

log = logging.getLogger(__name__)

WAIT_SECONDS = REPLY_TIMEOUT_SECONDS / 2  # an idle store replies well before the timeout
BATCH_SIZE = 256
MAX_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one round, which is one run of the handlers."""

    round: str
    state: str
    reason: str


# Set by the endpoint itself when it stops waiting.
SENDER_GONE, TOO_LATE = Outcome("", "gone", ""), Outcome("", "late", "")


@dataclass(eq=False, slots=True)
class Waiter:
    """A waiting request, registered before its event is submitted.

    The outcome may arrive before the reply to the submission, which tells the round; it is then kept as an early one.
    """

    event_id: str
    future: "asyncio.Future[Outcome]"
    round: str = ""
    early_outcomes: list[Outcome] = field(default_factory=list)

    def receive(self, outcome: Outcome) -> None:
        if not self.round:
            self.early_outcomes.append(outcome)
        elif outcome.round == self.round and not self.future.done():
            self.future.set_result(outcome)

    def cancel(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)

    def set_round(self, round_id: str) -> None:
        """Set the round to wait for, and look for its outcome among the early ones."""
        self.round = round_id
        for outcome in self.early_outcomes:
            self.receive(outcome)


class Outcomes:
    """The waiting requests of one process. Outcomes arrive from `run` until `stop`."""

    def __init__(self, settings: Settings, session: Session, process: str) -> None:
        key = Keys(settings.key_prefix).replies(process)
        self._pop = pack(("BLMPOP", WAIT_SECONDS, 1, key, "LEFT", "COUNT", BATCH_SIZE))
        self._session = session
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS)  # only provides address and login
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._waiters: dict[str, set[Waiter]] = {}
        self._is_stopping = self._has_replied = False
        self._last_error = ""

    @contextlib.contextmanager
    def waiting_for(self, event_id: str) -> Iterator[Waiter]:
        """Register a waiter for the duration of the block."""
        waiter = Waiter(event_id, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(event_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            others = self._waiters[event_id]
            others.discard(waiter)
            if not others:
                del self._waiters[event_id]

    @property
    def waiter_count(self) -> int:
        """The number of events that requests wait for."""
        return len(self._waiters)

    async def run(self) -> None:
        failures = 0
        while not self._is_stopping:
            self._lost.clear()
            try:
                connection = self._connection = await open_connection(
                    self._store, self._lost.set, timeout_seconds=REPLY_TIMEOUT_SECONDS
                )
            except (StoreUnavailable, RedisError, OSError):
                await asyncio.sleep(pause_seconds(failures, first_seconds=0.05, longest_seconds=MAX_PAUSE_SECONDS))
                failures += 1
                continue
            self._has_replied = False
            connection.send(self._pop, 1, self._on_replies)
            await self._lost.wait()
            connection.abort()  # still open if `stop` was called while it was being opened
            if self._has_replied or self._is_stopping:
                failures = 0
                continue
            await asyncio.sleep(pause_seconds(failures, first_seconds=0.05, longest_seconds=MAX_PAUSE_SECONDS))
            failures += 1
        await close_async(self._store)

    def stop(self) -> None:
        self._is_stopping = True
        self._reconnect()

    def _reconnect(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._lost.set()

    def _on_replies(self, replies: StoreReplies | StoreUnavailable) -> None:
        if isinstance(replies, StoreUnavailable):
            return  # `run` reconnects
        (popped,) = replies
        if isinstance(popped, ErrorReply):
            self._log_error(popped)
            self._reconnect()
            return
        self._has_replied, self._last_error = True, ""
        if self._has_primary_moved():
            self._reconnect()
            return
        for line in popped[1] if popped else ():
            self._deliver(line.decode())
        if self._connection is not None:
            self._connection.send(self._pop, 1, self._on_replies)

    def _log_error(self, reply: ErrorReply) -> None:
        fault = reply.fault
        if fault.is_lasting:
            self._session.mark_refusing()
        if fault.is_lasting and fault.code != self._last_error:
            facts = {"error_type": fault.code, "command": "BLMPOP", "reason": advice(fault, "BLMPOP")}
            log.error("store refuses commands", extra=facts)
        self._last_error = fault.code

    def _has_primary_moved(self) -> bool:
        """True after a failover: the old primary may still reply, but receives no outcomes."""
        current = self._session.connection
        return current is not None and self._connection is not None and current.address != self._connection.address

    def _deliver(self, line: str) -> None:
        event_id, round_id, state, reason = line.split(" ", 3)
        for waiter in self._waiters.get(event_id, ()):
            waiter.receive(Outcome(round_id, state, reason))
