"""A client that sends its whole request before it reads gets the answer, also one given before the request's end."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

from harness.certificates import write_certificate
from harness.stack import Stack, wait_until
from surehook.ingest.http.lingering import LINGER_BYTES
from tests.support.metrics import metric
from tests.support.raw_http import a_request, connect, read_until_closed, status_of

MEBIBYTE = 1024 * 1024
LARGE = b"x" * 5 * MEBIBYTE
LENGTH = f"Content-Length: {len(LARGE)}"
REQUESTS = [
    pytest.param(a_request(LENGTH, authorization="wrong"), 401, id="a wrong key"),
    pytest.param(a_request("Content-Length: 6000000"), 413, id="too large"),
    pytest.param(a_request(LENGTH, "Content-Encoding: gzip"), 415, id="compressed"),
    pytest.param(a_request(LENGTH, method="PUT"), 405, id="another method"),
    pytest.param(a_request(LENGTH).replace(b"/fusionauth-webhook", b"/elsewhere"), 404, id="another path"),
    pytest.param(a_request(LENGTH, "Host: two"), 400, id="two hosts"),
    pytest.param(a_request(LENGTH, "Transfer-Encoding: gzip, chunked"), 400, id="length and coding"),
    pytest.param(a_request(*["a: b"] * 200), 431, id="many headers"),
    pytest.param(b"PUT\t/", 400, id="no HTTP"),
]
SILENT_SECONDS_AT_MOST = 20.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.start_ingest(SUREHOOK_MAX_BODY_BYTES=str(len(LARGE)))
    yield stack
    stack.close()


@pytest.mark.parametrize(("head", "status"), REQUESTS)
def test_an_early_answer_is_read_after_a_large_body(stack: Stack, head: bytes, status: int) -> None:
    with connect(stack.port) as connection:
        connection.sendall(head + LARGE)
        answer = connection.recv(65536)
        end = connection.recv(65536)

    assert status_of(answer) == status
    assert b"\r\nconnection: close\r\n" in answer
    assert end == b""


@pytest.fixture(scope="module")
def encrypted() -> Iterator[tuple[Stack, ssl.SSLContext]]:
    stack = Stack()
    certificate, key = write_certificate(stack.folder)
    trusted = ssl.create_default_context(cafile=certificate)
    stack.client = httpx.Client(verify=trusted, headers={"Connection": "close"})
    stack.surehook(
        "ingest", SUREHOOK_TLS_CERT=certificate, SUREHOOK_TLS_KEY=key, SUREHOOK_MAX_BODY_BYTES=str(len(LARGE))
    )

    def is_ready() -> bool:
        try:
            return stack.client.get(f"https://127.0.0.1:{stack.port}/readyz").is_success
        except httpx.TransportError:
            return False

    wait_until(is_ready, "the endpoint is ready")
    yield stack, trusted
    stack.close()


@pytest.mark.parametrize(("head", "status"), REQUESTS)
def test_an_early_answer_is_read_after_a_large_body_over_tls(
    encrypted: tuple[Stack, ssl.SSLContext], head: bytes, status: int
) -> None:
    stack, trusted = encrypted
    with trusted.wrap_socket(connect(stack.port), server_hostname="127.0.0.1") as connection:
        connection.sendall(head + LARGE)
        answer = connection.recv(65536)

    assert status_of(answer) == status
    assert b"\r\nconnection: close\r\n" in answer


def test_a_complete_request_over_tls_is_answered_and_closed(encrypted: tuple[Stack, ssl.SSLContext]) -> None:
    stack, trusted = encrypted
    with trusted.wrap_socket(connect(stack.port), server_hostname="127.0.0.1") as connection:
        connection.sendall(a_request("Content-Length: 2", authorization="wrong", body=b"{}"))
        answer = read_until_closed(connection)

    assert status_of(answer) == 401


def test_a_client_cannot_send_for_ever_after_its_answer(stack: Stack) -> None:
    sent = 0

    with connect(stack.port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(a_request("Content-Length: 99999999999", authorization="wrong"))
        while sent < 2 * LINGER_BYTES:
            sent += connection.send(LARGE)

    assert sent < 2 * LINGER_BYTES


@pytest.mark.parametrize("asks", [False, True], ids=["silent", "sends a little now and then"])
def test_a_client_cannot_stay_for_ever_after_its_answer(stack: Stack, *, asks: bool) -> None:
    wait_until(lambda: open_connections(stack) == 0, "earlier connections are closed")

    with connect(stack.port) as connection:
        connection.sendall(a_request("Content-Length: 1000000", authorization="wrong"))
        assert status_of(read_until_closed(connection)) == 401
        # The gauge is set once a second, so it shows the connection late.
        wait_until(lambda: open_connections(stack) == 1, "the gauge shows the connection")

        def is_closed() -> bool:
            if asks:
                with contextlib.suppress(ConnectionError):
                    connection.send(b"x")
            return open_connections(stack) == 0

        wait_until(is_closed, "the endpoint has closed the connection", SILENT_SECONDS_AT_MOST)


def open_connections(stack: Stack) -> float:
    return metric(stack, "surehook_open_connections")


def test_the_answer_to_one_connection_too_many_is_read_too(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    stack.start_ingest(SUREHOOK_MAX_PENDING="1")

    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(connect(stack.port))
        wait_until(lambda: open_connections(stack) == 2, "the gauge shows them")
        connection = held.enter_context(connect(stack.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(a_request(LENGTH))
        connection.sendall(LARGE)
        answer = connection.recv(65536)

    assert status_of(answer) == 503
