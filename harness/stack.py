"""The whole stack as processes: a real Valkey, ingest and workers. Each can be killed and restarted."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import redis

from harness.events import a_body
from surehook.shared.embedded import socket_path, start_server, stop_server
from surehook.shared.keys import Keys

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
API_KEY = "a-key-for-tests-only"
DEADLINE_SECONDS = 30.0


def wait_until(condition: Callable[[], T], what: str = "", seconds: float = DEADLINE_SECONDS) -> T:
    """Poll until the condition is truthy and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port outside the kernel's ephemeral range, which it could hand out before the port is used here."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Stack:
    """A store, and the processes a test starts on it, in a folder of its own; one that is given remains."""

    def __init__(self, handlers: str = "", folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="surehook-"))
        self._folder_remains = folder is not None
        self.data = self.folder / "data"
        self.data.mkdir(exist_ok=True)
        if not (self.folder / "examples").is_symlink():
            (self.folder / "examples").symlink_to(ROOT / "examples")  # as in a checkout: they are not installed
        self.effects_file = self.folder / "effects"
        self.effects_file.touch()
        self.port = free_port()
        self.metrics_port = free_port()
        self.worker_metrics_port = free_port()
        self.dashboard_port = free_port()
        self.log = (self.folder / "log").open("ab")
        # One client for all requests: every httpx.get() would load the system's certificates. It keeps no connection
        # open, because processes are killed here.
        self.client = httpx.Client(timeout=5, headers={"Connection": "close"}, trust_env=False)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environ = {
            # Nor Python's own variables: PYTHONUNBUFFERED, for one, would hide that a handler's output is buffered.
            **{name: value for name, value in os.environ.items() if not name.startswith(("SUREHOOK_", "PYTHON"))},
            "TMPDIR": str(self.folder),  # a killed process leaves files, which are removed with the folder
            "SUREHOOK_API_KEYS": API_KEY,
            "SUREHOOK_BIND": f"127.0.0.1:{self.port}",
            "SUREHOOK_METRICS_BIND": f"127.0.0.1:{self.metrics_port}",
            "SUREHOOK_WORKER_METRICS_BIND": f"127.0.0.1:{self.worker_metrics_port}",
            "SUREHOOK_DASHBOARD_BIND": f"127.0.0.1:{self.dashboard_port}",
            "SUREHOOK_HANDLERS": "myhooks",
            "EFFECTS": str(self.effects_file),
        }
        self.write_handlers(handlers)
        self.server = start_server(self.data)

    def write_handlers(self, source: str) -> None:
        """A user's module: `effect(*words)` writes a line that the test reads."""
        head = (
            "import os, time, signal\nfrom surehook import on, Permanent, RetryLater\n"
            "def effect(*words):\n"
            "    with open(os.environ['EFFECTS'], 'a') as file: file.write(' '.join(map(str, words)) + '\\n')\n"
        )
        written = self.folder / "myhooks.new"
        written.write_text(head + source)
        written.replace(self.folder / "myhooks.py")  # at once: a worker may be importing it

    def surehook(self, *arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("surehook")), *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(Path(sys.executable).with_name("surehook")), *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start_ingest(self, **environ: str) -> "subprocess.Popen[bytes]":
        process = self.surehook("ingest", **environ)
        wait_until(self.is_ready, "ingest is ready")
        return process

    def is_ready(self) -> bool:
        try:
            return self.client.get(f"http://127.0.0.1:{self.port}/readyz").is_success
        except httpx.TransportError:
            return False

    def start_worker(self, *arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
        return self.surehook("worker", *arguments, **environ)

    def worker_pids(self) -> list[int]:
        """Returns the processes that run handlers, from RQ's registry."""
        with self.redis() as store:
            keys = store.smembers("rq:workers")
            return sorted({int(pid) for pid in (store.hget(key, "pid") for key in keys) if pid})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fusionauth-webhook"

    def deliver(self, event: dict[str, Any] | None = None, *, body: bytes | None = None) -> httpx.Response:
        return self.client.post(
            self.url,
            content=a_body(event) if body is None else body,
            headers={"Authorization": API_KEY, "Content-Type": "application/json"},
        )

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(socket_path(self.data)), protocol=2)

    def effects(self) -> list[str]:
        return self.effects_file.read_text().splitlines()

    def open_events(self) -> int:
        with self.redis() as store:
            return int(store.zcard(Keys().open))

    def kill_store(self) -> None:
        self.server.kill()
        self.server.wait()

    def restart_store(self) -> None:
        self.server = start_server(self.data)

    def logged(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stop_server(self.server)
        self.log.close()
        self.client.close()
        if not self._folder_remains:
            shutil.rmtree(self.folder)
