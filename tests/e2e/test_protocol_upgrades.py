"""A request that offers another protocol is read as HTTP/1.1 (RFC 9110, section 7.8)."""

from collections.abc import Iterator

import pytest

from harness.events import a_body
from harness.stack import Stack
from tests.support.raw_http import a_request, connect, read_until_closed, status_of, talk

# The headers that java.net.http.HttpClient sends by default without TLS.
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA")
BODY = a_body()
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKS = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, BODY[:10], len(BODY) - 10, BODY[10:])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.start_ingest()
    yield stack
    stack.close()


def a_delivery(*headers: str) -> bytes:
    body = a_body()
    return a_request(*headers, f"Content-Length: {len(body)}", body=body)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_request(*H2C, LENGTH, body=BODY), id="a length"),
        pytest.param(a_request(*H2C, "Transfer-Encoding: chunked", body=CHUNKS), id="chunks"),
        pytest.param(a_request(*WEBSOCKET, LENGTH, body=BODY), id="a websocket"),
        pytest.param(a_request(*H2C, *WEBSOCKET, LENGTH, body=BODY), id="both"),
    ],
)
def test_a_delivery_that_offers_another_protocol_is_accepted_however_it_is_cut(stack: Stack, sent: bytes) -> None:
    head = sent.index(b"\r\n\r\n") + 4
    places = [0, 10, sent.index(b"Upgrade"), sent.index(b"Upgrade:") + 9, head - 2, head, head + 1, head + 15]
    answers = []
    for place in [*places, len(sent) - 1]:
        with stack.redis() as store:
            store.flushall()
        with connect(stack.port) as connection:
            connection.sendall(sent[:place])
            assert stack.is_ready()  # by now the endpoint has read the first part
            connection.sendall(sent[place:])
            answers.append(connection.recv(65536))

    assert {status_of(answer) for answer in answers} == {202}
    assert b"101" not in b"".join(answers).split(b"\r\n")[0]
    with stack.redis() as store:
        assert store.zcard("surehook:open") == 1


def test_its_connection_stays(stack: Stack) -> None:
    with connect(stack.port) as connection:
        statuses = []
        for headers in (H2C, H2C, ()):
            connection.sendall(a_delivery(*headers))
            statuses.append(status_of(connection.recv(65536)))
        connection.sendall(a_delivery(*H2C) + a_delivery(*H2C))
        answers = b""
        while answers.count(b"accepted") < 2:
            answers += connection.recv(65536)

    assert statuses == [202] * 3
    assert answers.count(b"HTTP/1.1 202 ") == 2


def test_no_connection_is_upgraded_and_no_offer_is_logged(stack: Stack) -> None:
    answers = [talk(stack.port, a_request(*WEBSOCKET, method="GET")) for _ in range(20)]

    assert {status_of(answer) for answer in answers} == {405}
    assert "upgrade" not in stack.logged().lower()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param([LENGTH], BODY[:-5] + b"     ", 400, id="no JSON"),
        pytest.param(["Content-Length: 99999999999"], b"", 413, id="too large"),
        pytest.param(["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n", 400, id="length and chunks"),
    ],
)
def test_an_upgrade_request_must_be_valid_like_any_other(
    stack: Stack, headers: list[str], body: bytes, status: int
) -> None:
    with connect(stack.port) as connection:
        connection.sendall(a_request(*H2C, *headers, "Connection: close", body=body))
        answer = read_until_closed(connection)

    assert status_of(answer) == status


def test_an_unauthenticated_upgrade_request_is_refused_like_any_other(stack: Stack) -> None:
    answer = talk(stack.port, a_request(*H2C, LENGTH, body=BODY, authorization=None))

    assert status_of(answer) == 401


def test_a_connect_request_is_refused(stack: Stack) -> None:
    for target in (b"example.com:443", b"/fusionauth-webhook"):
        answer = talk(stack.port, b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\nwhat it would carry" % target)

        assert status_of(answer) == 400
