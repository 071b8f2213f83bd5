"""A log that a flood of deliveries cannot fill."""

import asyncio
import logging

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 1.0


class RateLimitedLog:
    """Logs one line a second for each kind, with a count and the facts of the last one."""

    def __init__(self, message: str, level: int = logging.WARNING) -> None:
        self._message = message
        self._level = level
        self._counts: dict[str, int] = {}
        self._facts: dict[str, dict[str, str]] = {}

    def add(self, kind: str, **facts: str) -> None:
        self._facts[kind] = facts
        if kind in self._counts:
            self._counts[kind] += 1
            return
        self._counts[kind] = 1
        self._write(kind)
        asyncio.get_running_loop().call_later(LOG_EVERY_SECONDS, self._write_rest, kind)

    def _write_rest(self, kind: str) -> None:
        if self._counts[kind]:
            self._write(kind)
        del self._counts[kind], self._facts[kind]

    def _write(self, kind: str) -> None:
        count, self._counts[kind] = self._counts[kind], 0
        log.log(self._level, self._message, extra={**self._facts[kind], "count": count})
