"""The way an answer takes from uvicorn to the wire: in one piece, and not for ever."""

import asyncio
from typing import Any

# For an answer to be taken by who asked for it. The kernel alone takes thousands: who lets them pile up wants none.
UNREAD_SECONDS = 5.0


class WholeAnswers:
    """A transport that sends an answer's head and body, which uvicorn writes apart, together: half the system calls
    here and half the wake-ups there, a quarter of what a delivery cost."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._patience: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
            self._transport.write(data)
            return
        self._head = data
        self._loop.call_soon(self._flush)

    def write_whole(self, answer: bytes) -> None:
        self._flush()
        self._transport.write(answer)

    def close(self) -> None:
        """Once what was written has been taken, or will not be."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.close()
            self.lose_patience()

    def lose_patience(self) -> None:
        """The connection ends soon, unless somebody reads at the other end."""
        if self._patience is None:
            self._patience = self._loop.call_later(UNREAD_SECONDS, self._transport.abort)

    def keep_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)
