"""Who takes part in the soak: the store, the door, and two machines with workers, each on a network of its own."""

import os
import signal
import subprocess
import time
from contextlib import suppress

from harness.processes import children_of
from harness.stack import Stack
from surehook.shared.embedded import socket_path, start_server
from tests.support.soak.network import Relay

THREADS = "6"
GRACE = "5"
# Until then it may not have come to say what it does on SIGTERM, and ends as any program does.
YOUNG_SECONDS = 5.0


class Actor:
    """A `surehook` command with its children, and its way to the store."""

    def __init__(self, stack: Stack, name: str, *arguments: str, **environ: str) -> None:
        self.name = name
        self.relay = Relay(socket_path(stack.data))
        self.bad_endings: list[str] = []
        self._stack = stack
        self._arguments = arguments
        self._environ = {**environ, "SUREHOOK_REDIS_URL": self.relay.url}
        self.start()

    def start(self) -> None:
        self.process = self._stack.surehook(*self._arguments, **self._environ)
        self._started_at = time.monotonic()

    @property
    def parent(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        with suppress(FileNotFoundError, ProcessLookupError):
            return children_of(self.parent)
        return []

    def kill(self) -> None:
        """The machine goes: the parent, and whatever it started."""
        for pid in (self.parent, *self.children()):
            send(pid, signal.SIGKILL)
        self.process.wait()

    def kill_parent(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """In order. An exit status other than 0 is kept."""
        is_young = time.monotonic() - self._started_at < YOUNG_SECONDS
        self.process.terminate()
        try:
            status = self.process.wait(int(GRACE) + 15)
        except subprocess.TimeoutExpired:
            self.bad_endings.append("does not end")
            self.kill()
            return
        if status and not (is_young and status == -signal.SIGTERM):
            self.bad_endings.append(f"ended with {status}")

    def ensure_runs(self) -> None:
        if self.process.poll() is not None:
            self.start()


class Cast:
    """All of them, on one stack."""

    def __init__(self, stack: Stack, retention_seconds: int) -> None:
        self.stack = stack
        settings = {"SUREHOOK_RETENTION": str(retention_seconds)}
        off = {"SUREHOOK_WORKER_METRICS_BIND": "off"}
        self.door = Actor(stack, "ingest", "ingest", **settings)
        arguments = ("worker", "--threads", THREADS, "--grace", GRACE)
        self.machines = [Actor(stack, f"workers {number}", *arguments, **settings, **off) for number in (1, 2)]
        self.actors = [self.door, *self.machines]

    def start_store(self) -> None:
        if self.stack.server.poll() is not None:
            self.stack.server = start_server(self.stack.data)

    def close(self) -> None:
        for actor in self.actors:
            if actor.process.poll() is None:
                actor.stop()
            actor.relay.close()


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
