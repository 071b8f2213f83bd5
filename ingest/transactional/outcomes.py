"""How an ingest process hears what was decided: one blocking connection, however many requests wait.

A reply that gets lost costs time, never the truth: at its deadline each request asks the store itself.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, Connection, StoreReplied, open_connection, pack
from surehook.ingest.store.connection import Replies as StoreReplies
from surehook.ingest.store.session import Session
from surehook.shared.backoff import pause_seconds
from surehook.shared.errors import StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import close_async, connect_async

WAIT_SECONDS = REPLY_TIMEOUT_SECONDS / 2  # a store that says nothing for longer has fallen silent
AT_ONCE = 256
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one round of asking."""

    round: str
    state: str
    reason: str


# What a listener hears that gave up.
SENDER_GONE, TOO_LATE = Outcome("", "gone", ""), Outcome("", "late", "")


@dataclass(eq=False, slots=True)
class Waiter:
    """One request. It listens before it asks, for an answer can be quicker than the receipt of the question."""

    event_id: str
    future: "asyncio.Future[Outcome]"
    round: str = ""
    early: list[Outcome] = field(default_factory=list)

    def hear(self, heard: Outcome) -> None:
        if not self.round:
            self.early.append(heard)
        elif heard.round == self.round and not self.future.done():
            self.future.set_result(heard)

    def give_up(self, why: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(why)

    def expect(self, number: str) -> None:
        """Which round it is about is known now."""
        self.round = number
        for heard in self.early:
            self.hear(heard)


class Outcomes:
    """One per process. `run` until `stop`."""

    def __init__(self, settings: Settings, link: Session, process: str) -> None:
        key = Keys(settings.key_prefix).replies(process)
        self._pop = pack(("BLMPOP", WAIT_SECONDS, 1, key, "LEFT", "COUNT", AT_ONCE))
        self._link = link
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS)  # it only knows the way
        self._connection: Connection | None = None
        self._loss = asyncio.Event()
        self._listeners: dict[str, set[Waiter]] = {}
        self._is_stopping = False

    @contextlib.contextmanager
    def listening(self, event_id: str) -> Iterator[Waiter]:
        """A listener for as long as the block lasts."""
        listener = Waiter(event_id, asyncio.get_running_loop().create_future())
        self._listeners.setdefault(event_id, set()).add(listener)
        try:
            yield listener
        finally:
            others = self._listeners[event_id]
            others.discard(listener)
            if not others:
                del self._listeners[event_id]

    @property
    def waiting(self) -> int:
        """How many events somebody waits for."""
        return len(self._listeners)

    async def run(self) -> None:
        failures = 0
        while not self._is_stopping:
            self._loss.clear()
            try:
                self._connection = await open_connection(self._store, self._loss.set)
            except (StoreUnavailable, RedisError, OSError):
                await asyncio.sleep(pause_seconds(failures, first_seconds=0.05, longest_seconds=LONGEST_PAUSE_SECONDS))
                failures += 1
                continue
            failures = 0
            self._connection.send(self._pop, 1, self._hear)
            await self._loss.wait()
        await close_async(self._store)

    def stop(self) -> None:
        self._is_stopping = True
        self._lose()

    def _lose(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._loss.set()

    def _hear(self, replies: StoreReplies | StoreUnavailable) -> None:
        if isinstance(replies, StoreUnavailable):
            return  # `run` sees to it
        (popped,) = replies
        if isinstance(popped, StoreReplied) or self._is_elsewhere():
            self._lose()
            return
        for line in popped[1] if popped else ():
            self._deliver(line.decode())
        if self._connection is not None:
            self._connection.send(self._pop, 1, self._hear)

    def _is_elsewhere(self) -> bool:
        """After a failover the old primary may go on answering that nothing was decided."""
        asked = self._link.connection
        return asked is not None and self._connection is not None and asked.address != self._connection.address

    def _deliver(self, line: str) -> None:
        event_id, number, state, reason = line.split(" ", 3)
        for listener in self._listeners.get(event_id, ()):
            listener.hear(Outcome(number, state, reason))
