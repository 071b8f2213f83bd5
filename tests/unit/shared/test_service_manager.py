"""A service with `Type=notify` and a watchdog tells systemd of its start, its life and its stop."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from surehook.shared.service_manager import ServiceManager


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify") if request.param == "a path" else f"@surehook-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0", 1))
        heard.settimeout(5)
        yield heard, name


def test_it_is_told_of_the_start_once_of_life_and_of_the_stop(manager: tuple[socket.socket, str]) -> None:
    heard, address = manager
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/"}

    service = ServiceManager(environ)
    for _ in range(3):
        service.ready()
        service.alive()
    service.stopping()

    assert [heard.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert environ == {"PATH": "/"}  # programs that are started from here do not inherit it


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_no_watchdog_is_fed_that_does_not_watch_this_process(
    manager: tuple[socket.socket, str], watchdog: dict[str, str]
) -> None:
    heard, address = manager
    service = ServiceManager({"NOTIFY_SOCKET": address, **watchdog})

    service.alive()
    service.ready()

    assert heard.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1"}])
def test_a_missing_service_manager_changes_nothing(environ: dict[str, str]) -> None:
    service = ServiceManager(dict(environ))

    service.ready()
    service.alive()
    service.stopping()
