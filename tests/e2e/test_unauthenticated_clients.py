"""Unauthenticated clients and invalid HTTP: the endpoint answers or disconnects, and keeps nothing."""

from collections.abc import Iterator

import httpx
import pytest

from harness.events import a_body
from harness.stack import Stack
from surehook.ingest.http.head import MAX_HEAD_BYTES
from tests.support.metrics import refusals
from tests.support.raw_http import a_request, connect, read_until_closed, status_of, talk
from tests.support.store_dump import kept_keys

NOT_AUTHORIZED = b'{"errors":[{"code":"[notAuthorized]"}],"exception":"[notAuthorized]"}'


@pytest.fixture(scope="module")
def open_stack() -> Iterator[Stack]:
    """One stack for all tests here: no client may break it for the next."""
    stack = Stack()
    stack.start_ingest()
    yield stack
    stack.close()


@pytest.fixture
def stack(open_stack: Stack) -> Iterator[Stack]:
    """Checks after each test that the endpoint runs and the store is empty."""
    yield open_stack
    assert [process.poll() for process in open_stack.processes] == [None]
    assert open_stack.is_ready()
    with open_stack.redis() as store:
        assert kept_keys(store) == []


def test_an_unauthenticated_request_is_answered_before_its_body_and_the_connection_closes(stack: Stack) -> None:
    with connect(stack.port) as connection:
        connection.sendall(a_request("Content-Length: 1000000", authorization=None))
        answer = read_until_closed(connection)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == 401
    assert b"connection: close" in head.lower()
    assert body == NOT_AUTHORIZED


def test_an_unauthenticated_request_gets_no_100_continue(stack: Stack) -> None:
    with connect(stack.port) as connection:
        connection.sendall(a_request("Content-Length: 1000000", "Expect: 100-continue", authorization=None))
        answer = read_until_closed(connection)

    assert b"100 Continue" not in answer
    assert status_of(answer) == 401


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(["Content-Length: 99999999999"], id="too large"),
        pytest.param(["Content-Length: 1000", "Content-Encoding: gzip"], id="gzip"),
    ],
)
def test_a_request_ruled_out_by_its_headers_is_refused_without_its_body(stack: Stack, headers: list[str]) -> None:
    with connect(stack.port) as connection:
        connection.sendall(a_request(*headers, "Expect: 100-continue"))
        answer = read_until_closed(connection)

    assert status_of(answer) in (413, 415)
    assert b"100 Continue" not in answer


def test_an_authenticated_request_gets_100_continue(stack: Stack) -> None:
    with connect(stack.port) as connection:
        connection.sendall(a_request("Content-Length: 2", "Expect: 100-continue"))
        invitation = connection.recv(1000)
        connection.sendall(b"{}")
        answer = connection.recv(1000)

    assert invitation == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status_of(answer) == 400


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(
            a_request("Transfer-Encoding: chunked", body=b"%x\r\n" % len(a_body()) + a_body()[:-10]), id="in a chunk"
        ),
        pytest.param(
            a_request("Transfer-Encoding: chunked", body=b"%x\r\n" % len(a_body()) + a_body() + b"\r\n"),
            id="before the last chunk",
        ),
        pytest.param(a_request("Content-Length: 10000", body=a_body()), id="short of its length"),
        pytest.param(a_request("Content-Length: 10000")[:-2], id="in the headers"),
    ],
)
def test_a_body_that_breaks_off_is_not_an_event(stack: Stack, sent: bytes) -> None:
    with connect(stack.port) as connection:
        connection.sendall(sent)
        connection.shutdown(1)
        answer = read_until_closed(connection)

    assert status_of(answer) in (0, 400)


def test_chunks_are_counted_while_they_come(stack: Stack) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    answer = talk(stack.port, a_request("Transfer-Encoding: chunked", body=chunk * 200))

    assert status_of(answer) == 413


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([f"X-Long: {'x' * 1_000_000}"], id="one long header"),
        pytest.param([f"X-{number}: {'x' * 50}" for number in range(20_000)], id="many headers"),
        pytest.param([f"X-Long: {'x' * 2 * MAX_HEAD_BYTES}"], id="twice the limit"),
    ],
)
def test_headers_that_are_too_large_are_cut_off(stack: Stack, headers: list[str]) -> None:
    body = a_body()

    answer = talk(stack.port, a_request(*headers, f"Content-Length: {len(body)}", "Connection: close", body=body))

    assert status_of(answer) == 431
    assert b"[headersTooLarge]" in answer


def test_a_large_body_right_behind_its_headers_is_not_taken_for_headers(stack: Stack) -> None:
    head, rest = a_request("Content-Length: 200000", "Connection: close"), b"x" * 200_000
    with connect(stack.port) as connection:
        connection.sendall(head[:-1])
        assert stack.is_ready()  # by now the endpoint has read all but the last byte of the headers
        connection.sendall(head[-1:] + rest)
        answer = read_until_closed(connection)

    assert status_of(answer) == 400
    assert b"[malformed]" in answer


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, id="a TLS hello"),
        pytest.param(b"*1\r\n$4\r\nPING\r\n", id="a Redis command"),
        pytest.param(b"\x00" * 5000, id="NUL bytes"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="a proxy request"),
        pytest.param(a_request("Content-Length: -1"), id="a negative length"),
        pytest.param(a_request("Content-Length: " + "9" * 5000), id="an endless length"),
        pytest.param(a_request("Content-Length: 5", "Content-Length: 6", body=b"{}    "), id="two lengths"),
        pytest.param(
            a_request("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), id="length and chunks"
        ),
        pytest.param(a_request("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n"), id="a chunk of no size"),
        pytest.param(a_request("X-Folded: a\r\n b\x00"), id="a NUL in a header"),
    ],
)
def test_input_that_is_not_http_is_refused_or_disconnected(stack: Stack, sent: bytes) -> None:
    with connect(stack.port) as connection:
        connection.sendall(sent)
        connection.shutdown(1)
        answer = read_until_closed(connection)

    assert status_of(answer) in (0, *range(400, 500))
    assert b"\r\nserver:" not in answer.lower()
    assert b"text/plain" not in answer


def test_no_answer_names_the_server(stack: Stack) -> None:
    base = f"http://127.0.0.1:{stack.port}"
    answers = [
        httpx.get(f"{base}/healthz"),
        httpx.get(f"{base}/readyz"),
        httpx.get(f"{base}/none"),
        httpx.get(stack.url),
        httpx.post(stack.url),
        stack.deliver(body=b"{}"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 404, 405, 401, 400]
    assert all("server" not in answer.headers for answer in answers)
    assert all(answer.headers["content-type"] == "application/json" for answer in answers)


def test_input_that_is_not_http_is_counted_and_fills_no_log(stack: Stack) -> None:
    lines, count = stack.logged().count("\n"), 100
    before = refusals(stack, "not_http")

    statuses = [status_of(talk(stack.port, b"\x00" * 50)) for _ in range(count)]

    assert set(statuses) == {400}
    assert refusals(stack, "not_http") == before + count
    assert stack.logged().count("\n") - lines < count / 2
    assert "Invalid HTTP" not in stack.logged()


@pytest.mark.parametrize("garbage", [pytest.param(b"\x00" * 500, id="NUL bytes"), pytest.param(b"{}", id="a body")])
def test_a_request_is_answered_whatever_comes_behind_it(stack: Stack, garbage: bytes) -> None:
    answer = talk(stack.port, a_request("Content-Length: 2", body=b"{}" + garbage))

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"[malformed] " in answer
    assert b"no HTTP" not in answer
    assert b"connection: close" in answer


def test_a_complete_request_before_an_incomplete_one_is_answered(stack: Stack) -> None:
    whole = a_request("Content-Length: 2", body=b"{}")
    broken = a_request("Transfer-Encoding: chunked", body=b"2\r\n{}\r\nzz\r\n")

    answer = talk(stack.port, whole + broken)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert b"[malformed] " in answer
    assert b"no HTTP" not in answer
