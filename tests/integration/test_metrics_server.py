"""The metrics address answers its readers, whatever other clients do with their connections."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from harness.stack import free_port, wait_until
from surehook.shared import bounded_server
from surehook.shared.metrics_server import readiness, serve_metrics
from tests.support.raw_http import read_until_closed

SILENT = 200


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bounded_server, "CONNECTION_SECONDS", 1.0)
    registry = CollectorRegistry()
    Counter("surehook_example", "An example", registry=registry).inc()
    port = free_port()
    serve_metrics(f"127.0.0.1:{port}", registry, {"/readyz": readiness(list)})
    return port


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(port: int, opened: ExitStack) -> socket.socket:
    return opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))


def scrape(port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False).text
    except httpx.TransportError:
        return ""


def test_silent_connections_cost_few_threads_and_end_so_that_readers_are_answered(port: int, opened: ExitStack) -> None:
    before = threading.active_count()

    silent = [connect(port, opened) for _ in range(SILENT)]

    most = bounded_server.MAX_CONNECTIONS + bounded_server.MAX_ENDING
    assert threading.active_count() <= before + most
    wait_until(lambda: "surehook_example_total 1.0" in scrape(port), "a reader is answered")
    assert [read_until_closed(connection) for connection in silent] == [b""] * SILENT
    wait_until(lambda: threading.active_count() <= before, "their threads have ended")


def test_silent_connections_make_room_for_a_reader(
    port: int, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_server, "CONNECTION_SECONDS", 600.0)
    silent = [connect(port, opened) for _ in range(SILENT)]

    wait_until(lambda: "surehook_example_total 1.0" in scrape(port), "a reader is answered")

    assert read_until_closed(silent[0]) == b""


def test_a_client_that_sends_a_little_now_and_then_is_disconnected(port: int, opened: ExitStack) -> None:
    slow = connect(port, opened)
    slow.settimeout(0.05)
    slow.sendall(b"GET /metrics HTTP/1.1\r\n")
    deadline = time.monotonic() + 10

    def is_disconnected() -> bool:
        try:
            slow.sendall(b"X: y\r\n")
            return slow.recv(100) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    wait_until(is_disconnected, "it is disconnected", seconds=deadline - time.monotonic())


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"x" * 100_000, id="a long line"),
        pytest.param(b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 100_000, id="many headers"),
    ],
)
def test_a_large_head_is_not_read_to_its_end(port: int, opened: ExitStack, head: bytes) -> None:
    connection = connect(port, opened)
    with contextlib.suppress(OSError):
        connection.sendall(head)

    assert b"surehook_example" not in read_until_closed(connection)


def test_a_failing_collector_is_answered_and_logged_without_its_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    class Failing(Collector):
        def collect(self) -> Iterator[Metric]:
            raise ValueError("mara.lindqvist")

        def describe(self) -> list[Metric]:
            return []

    registry = CollectorRegistry()
    registry.register(Failing())
    port = free_port()
    serve_metrics(f"127.0.0.1:{port}", registry)

    response = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)

    assert response.status_code == 500
    assert "server" not in response.headers
    assert "mara" not in response.text + "".join(capfd.readouterr())
    assert [record.getMessage() for record in caplog.records] == ["request failed"]
