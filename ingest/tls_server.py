"""Accepts TLS connections, and counts them from the first byte on.

uvloop tells a protocol of a connection only after the handshake: until then a connection would be in no limit and in no
metric, whatever it costs.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from surehook.ingest.http.protocol import WebhookProtocol
from surehook.ingest.limits import Limits

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
ACCEPTS_AT_ONCE = 100  # then other connections have their turn
RETRY_ACCEPT_SECONDS = 1.0
CLOSING_HANDSHAKE_SECONDS = 1.0
POLL_SECONDS = 0.05


class TlsServer:
    """One listening socket. It acts as the `asyncio.Server` that uvicorn closes."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        create_protocol: Callable[[], WebhookProtocol],
        limits: Limits,
        count_refusal: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._context = context
        self._create_protocol = create_protocol
        self._limits = limits
        self._count_refusal = count_refusal
        self._loop = asyncio.get_running_loop()
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._closing: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._is_short = False
        self._is_closed = False
        self._resume()

    def close(self) -> None:
        """Accept no more connections."""
        self._is_closed = True
        self._loop.remove_reader(self._listener)
        if self._retry is not None:
            self._retry.cancel()

    async def wait_closed(self) -> None:
        """Wait a moment for handshakes, and for the requests behind them: they were accepted before the close."""
        if self._handshakes:
            await asyncio.wait(list(self._handshakes), timeout=CLOSING_HANDSHAKE_SECONDS)
        for task in list(self._handshakes):
            task.cancel()
        if self._closing:
            await asyncio.wait(list(self._closing))

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:  # no descriptor or no memory is left: the connections wait in the socket's queue
                self._pause(exc)
                return
            self._is_short = False
            connection.setblocking(False)
            self._admit(connection)

    def _pause(self, exc: OSError) -> None:
        if not self._is_short:
            log.error("connections not accepted", extra={"reason": exc.strerror, "error_type": type(exc).__name__})
        self._is_short = True
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(RETRY_ACCEPT_SECONDS, self._resume)

    def _admit(self, connection: socket.socket) -> None:
        """Start the handshake. At the limit it takes the place of the oldest handshake that has not finished."""
        if self._limits.connections + self._limits.handshakes >= self._limits.max_connections:
            self._count_refusal("too_many_connections")
            if not self._handshakes:
                connection.close()
                return
            oldest = next(iter(self._handshakes))
            self._forget(oldest)
            oldest.cancel()
        task = self._loop.create_task(self._shake_hands(connection))
        self._handshakes[task] = None
        self._limits.handshakes += 1
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        if task in self._handshakes:
            del self._handshakes[task]
            self._limits.handshakes -= 1

    async def _shake_hands(self, connection: socket.socket) -> None:
        try:
            transport, protocol = await self._loop.connect_accepted_socket(
                self._create_protocol, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except ssl.SSLError:  # no TLS, or the client does not trust the certificate
            self._count_refusal("tls_failed")
        except ConnectionAbortedError:
            self._count_refusal("tls_too_slow")
        except OSError:  # the client left
            return
        else:
            if self._is_closed:
                protocol.shutdown()
                closing = self._loop.create_task(_wait_until_closing(transport))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)


async def _wait_until_closing(transport: asyncio.Transport) -> None:
    while not transport.is_closing():  # noqa: ASYNC110 - the protocol has no event for it, so uvicorn polls too
        await asyncio.sleep(POLL_SECONDS)
