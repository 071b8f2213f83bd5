"""The endpoint listens on both families of addresses, on a Unix socket, or on a socket that systemd passes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.events import a_body
from harness.stack import DEADLINE_SECONDS, Stack, free_port, wait_until
from surehook.ingest.listener import listen
from surehook.shared.errors import Misconfigured
from tests.support.raw_http import a_request, status_of

# Passes its first descriptor as systemd does: as number 3, with the process id of the program in the environment.
LIKE_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "surehook", "ingest", *sys.argv[2:]])
"""


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack()
    yield stack
    stack.close()


def deliver(connection: socket.socket) -> int:
    body = a_body()
    with connection:
        connection.settimeout(DEADLINE_SECONDS)  # it may wait for the process to start
        connection.sendall(a_request(f"Content-Length: {len(body)}", body=body))
        return status_of(connection.recv(65536))


def over(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def is_ready(path: Path) -> bool:
    with contextlib.suppress(OSError), over(path) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: surehook\r\nConnection: close\r\n\r\n")
        return status_of(connection.recv(65536)) == 200
    return False


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_of_both_families_are_served() -> None:
    port = free_port()
    with listen(f"[::]:{port}") as listener:
        listener.setblocking(True)
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port), timeout=5):
                listener.accept()[0].close()


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one process", "two processes"])
def test_a_unix_socket_is_served_and_replaced_when_a_process_has_left_it(
    stack: Stack, options: tuple[str, ...]
) -> None:
    path = stack.folder / "ingest.sock"
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))

    ingest = stack.surehook("ingest", *options, SUREHOOK_BIND=f"unix:{path}")
    wait_until(lambda: is_ready(path), "ingest is ready")

    assert deliver(over(path)) == 202
    ingest.send_signal(signal.SIGHUP)
    message = "ingest process replacement completed" if options else "reload refused"
    wait_until(lambda: message in stack.logged(), "the processes are new, or the only one says that it stays")
    assert deliver(over(path)) == 202


def test_a_unix_socket_in_use_or_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ingest.sock"
    (tmp_path / "file").write_text("mine")
    with listen(f"unix:{path}"):
        for taken in (path, tmp_path / "file"):
            with pytest.raises(Misconfigured, match=f"SUREHOOK_BIND=unix:{taken}: Address already in use"):
                listen(f"unix:{taken}")
        over(path).close()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none/ingest\.sock: No such file or directory"):
        listen(f"unix:{tmp_path}/none/ingest.sock")


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one process", "two processes"])
def test_the_socket_that_systemd_passes_is_served_and_outlives_the_service(
    stack: Stack, options: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", stack.port)) as passed:
        for _ in range(2):
            command = [sys.executable, "-c", LIKE_SYSTEMD, str(passed.fileno()), *options]
            environ = {**stack.environ, "SUREHOOK_BIND": "systemd"}
            ingest = subprocess.Popen(
                command, cwd=stack.folder, env=environ, stderr=stack.log, pass_fds=[passed.fileno()]
            )
            stack.processes.append(ingest)
            assert deliver(socket.create_connection(("127.0.0.1", stack.port), timeout=10)) in {202, 503}
            wait_until(stack.is_ready, "ingest is ready")
            assert stack.deliver().status_code == 202
            ingest.terminate()
            assert ingest.wait(20) == 0


@pytest.mark.parametrize(
    "passed",
    [
        pytest.param({}, id="none"),
        pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="for another process"),
        pytest.param({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}, id="two"),
    ],
)
def test_without_one_socket_of_systemd_the_error_says_what_to_change(passed: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"\.socket unit"):
        listen("systemd", passed)
