"""How an ingest process hears what was decided: one blocking connection, however many requests wait.

A reply that gets lost costs time, never the truth: at its deadline each request asks the store itself.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from shared.backoff import pause_seconds
from shared.keys import Keys
from shared.replies import text
from shared.settings import Settings
from shared.store import close_async, connect_async

WAIT_SECONDS = 1.0
STORE_TIMEOUT_SECONDS = 2.5  # longer than the wait, short enough to notice a store that fell silent
AT_ONCE = 256
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one round of asking."""

    round: str
    state: str
    reason: str


@dataclass(eq=False, slots=True)
class Listener:
    """One request. It listens before it asks, for an answer can be quicker than the receipt of the question."""

    event_id: str
    future: "asyncio.Future[Heard]"
    round: str = ""
    early: list[Heard] = field(default_factory=list)

    def hear(self, heard: Heard) -> None:
        if not self.round:
            self.early.append(heard)
        elif heard.round == self.round and not self.future.done():
            self.future.set_result(heard)

    def expect(self, number: str) -> None:
        """Which round it is about is known now."""
        self.round = number
        for heard in self.early:
            self.hear(heard)


class Replies:
    """One per process. `run` until `stop`."""

    def __init__(self, settings: Settings, process: str) -> None:
        self._key = Keys(settings.key_prefix).replies(process)
        self._store = connect_async(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        self._listeners: dict[str, set[Listener]] = {}
        self._is_stopping = False

    @contextlib.contextmanager
    def listening(self, event_id: str) -> Any:
        """A listener for as long as the block lasts."""
        listener = Listener(event_id, asyncio.get_running_loop().create_future())
        self._listeners.setdefault(event_id, set()).add(listener)
        try:
            yield listener
        finally:
            others = self._listeners[event_id]
            others.discard(listener)
            if not others:
                del self._listeners[event_id]

    async def run(self) -> None:
        failures = 0
        while not self._is_stopping:
            try:
                popped = await self._store.execute_command(  # type: ignore[no-untyped-call]
                    "BLMPOP", WAIT_SECONDS, 1, self._key, "LEFT", "COUNT", AT_ONCE
                )
                failures = 0
            except (RedisError, OSError):
                await asyncio.sleep(pause_seconds(failures, first_seconds=0.05, longest_seconds=LONGEST_PAUSE_SECONDS))
                failures += 1
                continue
            for line in popped[1] if popped else ():
                self._deliver(text(line))
        await close_async(self._store)

    def stop(self) -> None:
        self._is_stopping = True

    def _deliver(self, line: str) -> None:
        event_id, number, state, reason = line.split(" ", 3)
        for listener in self._listeners.get(event_id, ()):
            listener.hear(Heard(number, state, reason))
