"""P5, P8: an unauthenticated connection sends all that HTTP allows in length and number, and costs no memory."""

import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from harness.events import a_body
from harness.processes import resident_bytes
from harness.stack import Stack
from tests.support.metrics import refusals
from tests.support.raw_http import a_request, connect, status_of, talk

MEBIBYTE = 1024 * 1024
FLAT_BYTES = 16 * MEBIBYTE
SENT_BYTES = 8 * MEBIBYTE  # as tiny requests, these once took half a gigabyte
FLOOD_SECONDS = 20.0
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n\r\n"
IN_CHUNKS = a_request("Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
def open_stack() -> Iterator[Stack]:
    stack = Stack()
    stack.start_ingest()
    yield stack
    stack.close()


@pytest.fixture
def stack(open_stack: Stack) -> Iterator[Stack]:
    """Checks after each test that others are served and that the endpoint is as small as before."""
    memory = resident_bytes(open_stack.processes[0].pid)
    yield open_stack
    assert open_stack.deliver().status_code == 202
    assert resident_bytes(open_stack.processes[0].pid) - memory < FLAT_BYTES


def flood(stack: Stack, first: bytes, endless: bytes) -> tuple[bytes, bool]:
    """Write and read until the endpoint ends its side; returns its answer, and whether it ended.

    It may end a little after the last byte: on a fast machine all of them arrive while the first request is answered.
    """
    received, sent, deadline = b"", 0, time.monotonic() + FLOOD_SECONDS
    with connect(stack.port) as connection:
        connection.sendall(first)
        connection.setblocking(False)
        while time.monotonic() < deadline:
            readable, writable, _ = select.select([connection], [connection] if sent < SENT_BYTES else [], [], 1)
            try:
                if readable:
                    if not (chunk := connection.recv(65536)):
                        return received, True
                    received += chunk
                if writable:
                    sent += connection.send(endless[sent % len(endless) :])
            except ConnectionError:
                return received, True
    return received, False


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(HEALTHZ, id="no body"),
        pytest.param(HEALTHZ[:-2] + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000, id="unread bodies"),
        pytest.param(a_request("Content-Length: 2", body=b"{}", authorization=None), id="deliveries without proof"),
    ],
)
def test_requests_that_come_all_at_once_are_not_kept(stack: Stack, request_: bytes) -> None:
    memory = resident_bytes(stack.processes[0].pid)

    received, hung_up = flood(stack, b"", request_ * 5000)

    assert hung_up
    assert received.count(b"HTTP/1.1 ") <= 2
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES


def test_a_request_that_comes_before_the_last_answer_is_answered_in_its_turn(stack: Stack) -> None:
    first, second, third = (a_body() for _ in range(3))
    with connect(stack.port) as connection:
        connection.sendall(
            b"".join(a_request(f"Content-Length: {len(body)}", body=body) for body in (first, second)) + b"\r\n"
        )
        answers = b""
        while answers.count(b"accepted") < 2:
            answers += connection.recv(65536)
        connection.sendall(a_request(f"Content-Length: {len(third)}", body=third))
        answer = connection.recv(65536)

    assert answers.count(b"HTTP/1.1 202 ") == 2
    assert b"connection: close" not in answers
    assert status_of(answer) == 202


def test_the_first_of_many_requests_are_answered_and_the_last_answer_closes_the_connection(stack: Stack) -> None:
    before = refusals(stack, "too_many_at_once")
    body = a_body()

    received = talk(stack.port, a_request(f"Content-Length: {len(body)}", body=body) * 10)

    first, second = received.split(b"HTTP/1.1 ")[1:]
    assert (first[:3], second[:3]) == (b"202", b"200")
    assert b"connection: close" not in first
    assert b"connection: close" in second
    assert refusals(stack, "too_many_at_once") == before + 1


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        pytest.param(IN_CHUNKS + b"0\r\n", b"X-Trailer: y\r\n" * 5000, id="trailers"),
        pytest.param(IN_CHUNKS + b"0\r\nX-Trailer: ", b"y" * 65536, id="one trailer"),
        pytest.param(IN_CHUNKS + b"5;x=", b"y" * 65536, id="a chunk's extension"),
        pytest.param(HEALTHZ[:-2], b"X-Header: y\r\n" * 5000, id="headers"),
        pytest.param(HEALTHZ[:-2] + b"X-Header: ", b"y" * 65536, id="one header"),
        pytest.param(b"GET /", b"y" * 65536, id="a path"),
        pytest.param(b"", b"\r\n" * 5000, id="empty lines"),
    ],
)
def test_an_endless_request_is_disconnected(stack: Stack, first: bytes, endless: bytes) -> None:
    before = refusals(stack, "headers_too_large")
    memory = resident_bytes(stack.processes[0].pid)

    _, hung_up = flood(stack, first, endless)

    assert hung_up
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES
    assert refusals(stack, "headers_too_large") == before + 1


@pytest.mark.parametrize("count", [pytest.param(1, id="as a whole"), pytest.param(1000, id="in small pieces")])
def test_a_long_body_in_chunks_may_come_in_as_many_as_it_likes(stack: Stack, count: int) -> None:
    body = a_body() + b" " * 200_000
    size = -(-len(body) // count)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x;note=%b\r\n%b\r\n" % (len(part), b"n" * 100, part) for part in parts)

    answer = talk(
        stack.port, a_request("Transfer-Encoding: chunked", "Connection: close", body=chunks + b"0\r\nX-T: y\r\n\r\n")
    )

    assert status_of(answer) == 202


def test_a_trailer_is_no_header(stack: Stack) -> None:
    body = a_body()
    chunked = b"%x\r\n%b\r\n0\r\n%%b\r\n" % (len(body), body)
    key = f"Authorization: {stack.environ['SUREHOOK_API_KEYS']}\r\n".encode()

    with_key_behind = talk(stack.port, a_request("Transfer-Encoding: chunked", body=chunked % key, authorization=None))
    with_another_behind = talk(
        stack.port,
        a_request("Transfer-Encoding: chunked", "Connection: close", body=chunked % b"Authorization: other\r\n"),
    )

    assert status_of(with_key_behind) == 401
    assert status_of(with_another_behind) == 202


def test_connections_that_are_reset_leave_nothing(stack: Stack) -> None:
    """At 23 KiB each for the 75 seconds of a keep-alive, 1,500 of them once took 40 MiB."""
    large = HEALTHZ[:-2] + b"X-Padding: " + b"x" * 15_000 + b"\r\n\r\n"

    for _ in range(1500):
        with connect(stack.port) as connection:
            connection.sendall(large)
            assert status_of(connection.recv(65536)) == 200
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset
