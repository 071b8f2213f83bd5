"""TLS connections count from the first byte on, whether or not they finish their handshake."""

import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.certificates import write_certificate
from harness.events import a_body
from harness.processes import cpu_seconds
from harness.stack import Stack, wait_until
from tests.support.metrics import metric, refusals
from tests.support.raw_http import a_request, status_of

MAX_CONNECTIONS = 40
SILENT = 300
Connect = Callable[[], socket.socket]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    certificate, key = write_certificate(tmp_path)
    stack = Stack()
    stack.environ |= {
        "SUREHOOK_TLS_CERT": certificate,
        "SUREHOOK_TLS_KEY": key,
        "SUREHOOK_MAX_PENDING": str(MAX_CONNECTIONS // 2),
    }
    stack.surehook("ingest")
    wait_until(lambda: "store ready" in stack.logged(), "ingest is ready")
    yield stack
    stack.close()


@pytest.fixture
def connect(stack: Stack) -> Iterator[Connect]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", stack.port), timeout=15))


def deliver(connection: socket.socket) -> int:
    body = a_body()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connection) as secured:
        secured.sendall(a_request(f"Content-Length: {len(body)}", body=body))
        return status_of(secured.recv(65536))


def open_connections(stack: Stack) -> float:
    return metric(stack, "surehook_open_connections")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_silent_tls_connections_are_bounded_and_counted_and_a_delivery_is_answered(
    stack: Stack, connect: Connect
) -> None:
    (ingest,) = stack.processes
    before = descriptors(ingest.pid)

    for _ in range(SILENT):
        connect()

    wait_until(lambda: open_connections(stack) == MAX_CONNECTIONS, "the gauge shows them")
    assert descriptors(ingest.pid) <= before + MAX_CONNECTIONS + 5
    assert deliver(connect()) == 202
    assert refusals(stack, "too_many_connections") > 0


def test_what_is_no_tls_is_counted(stack: Stack, connect: Connect) -> None:
    plain = connect()
    plain.sendall(a_request("Content-Length: 2", body=b"{}"))
    plain.recv(100)

    wait_until(lambda: refusals(stack, "tls_failed") == 1, "it is counted")
    assert '"reason": "tls_failed"' in stack.logged()


def test_without_descriptors_connections_wait_and_the_process_does_not_spin(stack: Stack, connect: Connect) -> None:
    (ingest,) = stack.processes
    few = descriptors(ingest.pid) + 3
    _, hard = resource.prlimit(ingest.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(ingest.pid, resource.RLIMIT_NOFILE, (few, hard))
    silent = [connect() for _ in range(20)]
    metrics = socket.create_connection(("127.0.0.1", stack.metrics_port))
    wait_until(lambda: "connections not accepted" in stack.logged(), "it is logged")

    used = cpu_seconds(ingest.pid)
    assert silent[0].recv(100) == b""  # ten seconds later
    used = cpu_seconds(ingest.pid) - used

    assert used < 3.0
    assert stack.logged().count("connections not accepted") <= 6
    for connection in (*silent, metrics):
        connection.close()
    resource.prlimit(ingest.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert deliver(connect()) == 202
    assert refusals(stack, "tls_too_slow") > 0


def test_a_stop_does_not_wait_for_silent_connections(stack: Stack, connect: Connect) -> None:
    for _ in range(10):
        connect()
    wait_until(lambda: open_connections(stack) == 10, "they are accepted")
    (ingest,) = stack.processes

    ingest.terminate()

    assert ingest.wait(8) == 0
