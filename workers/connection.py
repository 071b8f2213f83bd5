"""A thread's own connection to the store: commands leave together, and replies are read as they come."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
from hiredis import pack_command
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as ClientTimeoutError

from surehook.shared.backoff import pause_seconds
from surehook.shared.scripts import Argument, Script
from surehook.shared.store_errors import Meaning, fault_of
from surehook.workers.store_report import StoreReport

TIMEOUTS = (TimeoutError, ClientTimeoutError)
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0

Command = tuple[Argument, ...]


def _nothing() -> None:
    pass


class Connection:
    """Connects when it is first used, and again after an error. Used by one thread."""

    def __init__(self, store: redis.Redis, report: StoreReport | None = None, task: str = "") -> None:
        self._store = store
        self._connection: Any = None
        self._report = report or StoreReport()
        self._task = task

    def send(self, commands: Sequence[Command]) -> None:
        """Sends the commands in one packet."""
        if self._connection is None:
            # Only the pool asks Sentinel where the primary is: a closed connection would connect to its old address.
            self._connection = self._store.connection_pool.get_connection()
        # Joined: redis-py makes a system call for each part, and Python's lock changes hands around each.
        self._connection.send_packed_command([b"".join(map(_packed, commands))], check_health=False)

    def read(self) -> Any:
        """The next reply to a command sent before."""
        return self._connection.read_response()

    def close(self) -> None:
        """Drops replies that have not arrived; the next packet goes on a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._store.connection_pool.release(connection)

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
            self.close()
            raise

    def call_until_answered(
        self, script: Script, arguments: Command, is_stopping: threading.Event, during: Callable[[], None]
    ) -> tuple[Any, float]:
        """Repeats a call until the store has answered it. Returns the reply, and when the call was last sent.

        A process that is stopping repeats it, too, but without long pauses.
        """
        failures = 0
        may_repeat_at_once = True
        while True:
            sent_at = time.monotonic()
            try:
                reply = self.call(script, arguments, during)
            except (RedisError, OSError) as exc:
                if may_repeat_at_once and is_connection_at_fault(exc):
                    # Closed while it was idle, or its server is no longer the primary: that alone is no outage.
                    may_repeat_at_once = False
                    continue
                self._report.failed(self._task, exc, script.name)
                time.sleep(FIRST_BACKOFF_SECONDS)
                longest = LONGEST_BACKOFF_SECONDS
                is_stopping.wait(pause_seconds(failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=longest))
                failures += 1
                continue
            if failures:
                self._report.succeeded(self._task)
            return reply, sent_at


def is_connection_at_fault(exc: Exception) -> bool:
    """Decides whether the same command may well succeed on a new connection. One that timed out would not."""
    fault = fault_of(exc)
    return fault.ends_connection or (fault.meaning is Meaning.NO_REPLY and not isinstance(exc, TIMEOUTS))


def _packed(command: Command) -> bytes:
    words: Any = command  # hiredis is annotated as if it took only one word
    packed: bytes = pack_command(words)
    return packed
