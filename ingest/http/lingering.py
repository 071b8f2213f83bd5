"""The end of a connection after its last response: what the client still sends is read and dropped for a while.

If a socket is closed while bytes arrive, the system resets the connection, and the client never reads the response:
nginx answers 502 and takes the endpoint for broken, Java reports an error in writing.
"""

import asyncio
from collections.abc import Callable

LINGER_SECONDS = 10.0  # as long as a body may take
# For a client that sends nothing more but does not close either.
SILENT_SECONDS = 5.0
# After a request that has arrived completely: only stray bytes can follow.
COMPLETE_SECONDS = 1.0
LINGER_BYTES = 128 * 1024 * 1024


class Lingering:
    """Counts what is dropped, and calls `close` when time or bytes are used up, or the client is silent."""

    def __init__(self, close: Callable[[], None], loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._close = close
        self._loop = loop
        self._ends_at = loop.time() + seconds
        self._left_bytes = LINGER_BYTES
        self._is_silent = True
        self._timer = loop.call_later(min(SILENT_SECONDS, seconds), self._check)

    def drop(self, count: int) -> None:
        self._is_silent = False
        self._left_bytes -= count
        if self._left_bytes < 0:
            self._close()

    def cancel(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        left_seconds = self._ends_at - self._loop.time()
        if self._is_silent or left_seconds <= 0:
            self._close()
            return
        self._is_silent = True
        self._timer = self._loop.call_later(min(SILENT_SECONDS, left_seconds), self._check)
