"""P5, P8: thousands of connections that never finish their headers cost little memory, and others are served."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.processes import resident_bytes
from harness.stack import Stack, wait_until
from surehook.ingest.http.head import MAX_HEAD_BYTES, MAX_HEADERS
from tests.support.metrics import metric
from tests.support.raw_http import connect

CONNECTIONS = 2000
MEBIBYTE = 1024 * 1024
# For 2,000 full heads and their connections. Without limits, 37 MiB of short headers took 900 MiB.
MOST_BYTES = 160 * MEBIBYTE
START = b"GET / HTTP/1.1\r\n"
FULL = START + b"".join(b"%03d:%b\r\n" % (number, b"x" * 155) for number in range(MAX_HEADERS))


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * CONNECTIONS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("sent", "is_held"),
    [
        pytest.param(START + b"ab:cd\r\n" * 9362, False, id="many short headers"),
        pytest.param(FULL[: MAX_HEAD_BYTES - 2], True, id="as many as allowed"),
        pytest.param(START + b"a: " + b"x" * (MAX_HEAD_BYTES - 100), True, id="one long header"),
        pytest.param(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + START + b"a: " + b"x" * 60_000, False, id="a second"
        ),
    ],
)
def test_unfinished_headers_of_2000_connections_cost_little(
    build_stack: Callable[..., Stack], sent: bytes, *, is_held: bool
) -> None:
    stack = build_stack()
    process = stack.start_ingest(SUREHOOK_MAX_PENDING=str(CONNECTIONS))
    memory = resident_bytes(process.pid)

    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(connect(stack.port)).sendall(sent)
        if is_held:
            wait_until(lambda: metric(stack, "surehook_open_connections") >= CONNECTIONS, "all are there")
        answer = stack.deliver()
        grown = resident_bytes(process.pid) - memory

    assert answer.status_code == 202
    assert grown < MOST_BYTES


def test_a_connection_that_is_rejected_keeps_nothing_while_it_lingers(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    process = stack.start_ingest()
    memory = resident_bytes(process.pid)

    with ExitStack() as held:
        connections: list[socket.socket] = []
        for _ in range(300):
            connections.append(held.enter_context(connect(stack.port)))
            connections[-1].sendall(START + b"ab:cd\r\n" * 9362)
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
        grown = resident_bytes(process.pid) - memory

    assert grown < 12 * MEBIBYTE
