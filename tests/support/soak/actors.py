"""The processes of a soak: the store, the endpoint, and two machines with workers, each with its own network."""

import os
import signal
import subprocess
import time
from contextlib import suppress

from harness.processes import serving_processes_of
from harness.stack import Stack
from surehook.shared.embedded import socket_path
from tests.support.soak.network import Relay
from tests.support.soak.stack import SoakStack

THREADS = "12"
GRACE = "5"
# A younger process may not have installed its SIGTERM handler, so that the signal ends it.
YOUNG_SECONDS = 20.0


class Actor:
    """A `surehook` command with its children, and its network to the store."""

    def __init__(self, stack: Stack, name: str, *arguments: str, **environ: str) -> None:
        self.name = name
        # The databases of the spool name the address of their store, so it stays the same when a soak goes on.
        self.relay = Relay(socket_path(stack.data), stack.folder / f"{name.replace(' ', '-')}.sock")
        self.bad_exits: list[str] = []
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
            return serving_processes_of(self.parent)
        return []

    def kill(self) -> None:
        """Kills the whole machine: the parent and all its children."""
        for pid in (self.parent, *self.children()):
            send(pid, signal.SIGKILL)
        self.process.wait()

    def kill_parent(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stops it with SIGTERM, and remembers an exit status other than 0."""
        is_young = time.monotonic() - self._started_at < YOUNG_SECONDS
        self.process.terminate()
        try:
            status = self.process.wait(int(GRACE) + 15)
        except subprocess.TimeoutExpired:
            self.bad_exits.append("does not exit")
            self.kill()
            return
        if status and not (is_young and status == -signal.SIGTERM):
            self.bad_exits.append(f"exited with {status}")

    def ensure_runs(self) -> None:
        if self.process.poll() is not None:
            self.start()


class Processes:
    """Every process of a soak, on one stack."""

    def __init__(self, stack: SoakStack, retention_seconds: int) -> None:
        self.stack = stack
        settings = {
            "SUREHOOK_RETENTION": str(retention_seconds),
            "SUREHOOK_BODY_RETENTION": str(retention_seconds // 2),
        }
        off = {"SUREHOOK_WORKER_METRICS_BIND": "off"}
        self.ingest = Actor(stack, "ingest", "ingest", **settings)
        arguments = ("worker", "--threads", THREADS, "--grace", GRACE)
        self.machines = [Actor(stack, f"workers {number}", *arguments, **settings, **off) for number in (1, 2)]
        self.actors = [self.ingest, *self.machines]

    def start_store(self) -> None:
        if self.stack.server.poll() is not None:
            self.stack.restart_store()

    def close(self) -> None:
        for actor in self.actors:
            if actor.process.poll() is None:
                actor.stop()
            actor.relay.close()


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
