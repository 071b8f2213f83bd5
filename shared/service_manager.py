"""Tells systemd when a service is ready, that it is alive, and that it stops (`Type=notify`, `WatchdogSec=`).

The protocol is a datagram to the socket in NOTIFY_SOCKET. Elsewhere nothing is sent.
"""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

PINGS_PER_PERIOD = 3  # systemd advises to send two or more


class ServiceManager:
    """The service manager that has started this process, if there is one."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        # Taken out of the environment: the programs that handlers start must not speak for this service.
        self._address = environ.pop("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        micros, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_watched = micros.isdigit() and pid in ("", str(os.getpid()))
        self._ping_every = int(micros) / 1_000_000 / PINGS_PER_PERIOD if is_watched else 0.0
        self._next_ping = 0.0 if is_watched else float("inf")
        self._is_ready = False

    def ready(self) -> None:
        """Say once that the service has started."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1")

    def alive(self) -> None:
        """Feed the watchdog, if it is time to. It costs nothing without one."""
        now = time.monotonic()
        if now >= self._next_ping:
            self._next_ping = now + self._ping_every
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(1)
            channel.sendto(state.encode(), self._address)


class ReadyPipe:
    """A pipe on which a parent process waits for one line: the service has started."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def tell(self) -> None:
        """Write the line, once."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # the parent waits no more
            os.write(self._descriptor, b"\n")
        os.close(self._descriptor)
        self._descriptor = None
