"""One connection for one script, and other work to do between its request and its reply."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from surehook.shared.backoff import pause_seconds
from surehook.shared.scripts import Argument, Script

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0


class Connection:
    """Used by one thread."""

    def __init__(self, store: redis.Redis, script: Script) -> None:
        self._store = store
        self._script = script
        self._connection: Any = None

    def call_until_answered(
        self, arguments: tuple[Argument, ...], is_stopping: threading.Event, during: Callable[[], None]
    ) -> tuple[Any, float]:
        """Repeats a call until the store has answered it. Returns the reply, and when the call was last sent.

        A process that is stopping repeats it, too, but without long pauses.
        """
        failures = 0
        while True:
            sent_at = time.monotonic()
            try:
                reply = self.call(arguments, during)
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

    def call(self, arguments: tuple[Argument, ...], during: Callable[[], None] = lambda: None) -> Any:
        """Calls the script, and `during` while it runs. After an error the next call makes a new connection."""
        if self._connection is None:
            self._connection = self._store.connection_pool.get_connection()
        try:
            self._connection.send_command(*self._script.command(arguments), check_health=False)
            during()
            try:
                return self._connection.read_response()
            except NoScriptError:
                self._connection.send_command("EVAL", self._script.source, 0, *arguments, check_health=False)
                return self._connection.read_response()
        except (RedisError, OSError):
            self._connection.disconnect()
            raise


def outage_message(exc: Exception) -> str:
    """The log message: a store that refuses commands can be reached, so the operator has another cause to look for."""
    return "store refuses commands, waiting" if isinstance(exc, ResponseError) else "store unavailable, waiting"
