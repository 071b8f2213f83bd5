"""A thread's own connection to the store: commands leave together, and replies are read as they come."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
from hiredis import pack_command
from redis.exceptions import NoScriptError, RedisError, ResponseError

from surehook.shared.backoff import pause_seconds
from surehook.shared.scripts import Argument, Script

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0

Command = tuple[Argument, ...]


def _nothing() -> None:
    pass


class Connection:
    """Connects when it is first used, and again after an error. Used by one thread."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._connection: Any = None

    def send(self, commands: Sequence[Command]) -> None:
        """Sends the commands in one packet."""
        if self._connection is None:
            self._connection = self._store.connection_pool.get_connection()
        # Joined: redis-py makes a system call for each part, and Python's lock changes hands around each.
        self._connection.send_packed_command([b"".join(map(_packed, commands))], check_health=False)

    def read(self) -> Any:
        """The next reply to a command sent before."""
        return self._connection.read_response()

    def invalidate(self) -> None:
        """Drops replies that have not arrived; the next packet goes on a new connection."""
        if self._connection is not None:
            self._connection.disconnect()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._store.connection_pool.release(self._connection)
            self._connection = None

    def call(self, script: Script, arguments: Command, during: Callable[[], None] = _nothing) -> Any:
        """Calls a script, and `during` while the store runs it."""
        try:
            self.send([script.command(arguments)])
            during()
            try:
                return self.read()
            except NoScriptError:
                self.send([("EVAL", script.source, 0, *arguments)])
                return self.read()
        except (RedisError, OSError):
            self.invalidate()
            raise

    def call_until_answered(
        self, script: Script, arguments: Command, is_stopping: threading.Event, during: Callable[[], None]
    ) -> tuple[Any, float]:
        """Repeats a call until the store has answered it. Returns the reply, and when the call was last sent.

        A process that is stopping repeats it, too, but without long pauses.
        """
        failures = 0
        while True:
            sent_at = time.monotonic()
            try:
                reply = self.call(script, arguments, during)
            except (RedisError, OSError) as exc:
                if not failures:
                    log.warning(outage_message(exc), extra={"error_type": type(exc).__name__})
                time.sleep(FIRST_BACKOFF_SECONDS)
                longest = LONGEST_BACKOFF_SECONDS
                is_stopping.wait(pause_seconds(failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=longest))
                failures += 1
                continue
            if failures:
                log.info("store available again")
            return reply, sent_at


def outage_message(exc: Exception) -> str:
    """The log message: a store that refuses commands can be reached, so the operator has another cause to look for."""
    return "store refuses commands, waiting" if isinstance(exc, ResponseError) else "store unavailable, waiting"


def _packed(command: Command) -> bytes:
    words: Any = command  # hiredis is annotated as if it took only one word
    packed: bytes = pack_command(words)
    return packed
