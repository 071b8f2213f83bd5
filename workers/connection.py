"""One connection for one script: sent, and answered while something else is done meanwhile."""

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

    def insist(
        self, arguments: tuple[Argument, ...], is_stopping: threading.Event, meanwhile: Callable[[], None]
    ) -> tuple[Any, float]:
        """The same call until the store has answered it, however long that takes; and when it was last sent.

        Whoever is stopping still insists, but does not sleep long in between.
        """
        failures = 0
        while True:
            sent_at = time.monotonic()
            try:
                reply = self.call(arguments, meanwhile)
            except (RedisError, OSError) as exc:
                if not failures:
                    log.warning(why_waiting(exc), extra={"error_type": type(exc).__name__})
                time.sleep(FIRST_BACKOFF_SECONDS)
                longest = LONGEST_BACKOFF_SECONDS
                is_stopping.wait(pause_seconds(failures, first_seconds=FIRST_BACKOFF_SECONDS, longest_seconds=longest))
                failures += 1
                continue
            if failures:
                log.info("store is back")
            return reply, sent_at

    def call(self, arguments: tuple[Argument, ...], meanwhile: Callable[[], None] = lambda: None) -> Any:
        """Once. After an error the next call connects anew."""
        if self._connection is None:
            self._connection = self._store.connection_pool.get_connection()
        try:
            self._connection.send_command(*self._script.command(arguments), check_health=False)
            meanwhile()
            try:
                return self._connection.read_response()
            except NoScriptError:
                self._connection.send_command("EVAL", self._script.source, 0, *arguments, check_health=False)
                return self._connection.read_response()
        except (RedisError, OSError):
            self._connection.disconnect()
            raise


def why_waiting(exc: Exception) -> str:
    """As a log says it. A store that refuses is there, and an operator looks at something else."""
    return "store refuses, waiting" if isinstance(exc, ResponseError) else "store is away, waiting"
