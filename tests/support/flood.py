"""An endpoint with low limits, and the tools to flood it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from harness.events import a_body, an_event
from harness.stack import Stack, wait_until
from tests.support.metrics import metric
from tests.support.raw_http import connect

MEBIBYTE = 1024 * 1024
MOST_PENDING = 20
MOST_BYTES = 4 * MEBIBYTE
MOST_OPEN = 150
FLOOD = 120
# Memory may grow by this much in a flood that would take several times as much if it were accepted.
FLAT_BYTES = 16 * MEBIBYTE


def open_bounded_stack() -> Stack:
    stack = Stack()
    stack.start_ingest(
        SUREHOOK_MAX_PENDING=str(MOST_PENDING),
        SUREHOOK_MAX_BODY_BYTES_IN_FLIGHT=str(MOST_BYTES),
        SUREHOOK_MAX_BACKLOG=str(MOST_OPEN),
        SUREHOOK_SPOOL_DIR="off",
    )
    return stack


def wait_until_drained(stack: Stack) -> None:
    """Waits until nothing of an earlier flood is left in the endpoint, and empties the store."""
    wait_until(lambda: metric(stack, "surehook_open_connections") <= 1, "the connections are closed")
    wait_until(lambda: metric(stack, "surehook_pending_requests") == 0, "no request is pending")
    assert metric(stack, "surehook_body_bytes_in_flight") == 0
    with stack.redis() as store:
        store.flushall()


@contextmanager
def incomplete_requests(stack: Stack, count: int, request: bytes) -> Iterator[list[socket.socket]]:
    """Sends `count` requests without their last byte."""
    with ExitStack() as exit_stack:
        connections = [exit_stack.enter_context(connect(stack.port)) for _ in range(count)]
        for connection in connections:
            connection.sendall(request[:-1])
        yield connections


def a_large_body(size: int) -> bytes:
    event: dict[str, Any] = an_event(note="")
    event["note"] = "n" * (size - len(a_body(event)))
    return a_body(event)


def send(stack: Stack, request: bytes) -> bytes:
    """Sends the whole request, even if it is refused halfway, and returns the response."""
    with connect(stack.port) as connection:
        connection.sendall(request)
        return connection.recv(65536)
