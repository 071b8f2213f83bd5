"""Every case of HTTP in `tests/corpus/http`, in several cuttings, against the endpoint as a process."""

import re
import socket
from collections.abc import Iterator

import pytest

from harness.stack import Stack
from tests.support.http_corpus import Case, cases
from tests.support.raw_http import connect

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n\r\n"
MOST_PIECES = 400


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.start_ingest()
    yield stack
    stack.close()


def whole(sent: bytes) -> list[bytes]:
    return [sent]


def in_two(sent: bytes) -> list[bytes]:
    return [sent[: len(sent) // 2], sent[len(sent) // 2 :]]


def byte_by_byte(sent: bytes) -> list[bytes]:
    """A long case is only cut at its beginning."""
    return [sent[place : place + 1] for place in range(min(len(sent), MOST_PIECES))] + [sent[MOST_PIECES:]]


def read_answers(connection: socket.socket, count: int) -> bytes:
    """Reads until this number of answers is there, with the whole body of the last."""
    received = b""
    while True:
        heads = [*STATUS.finditer(received)]
        if len(heads) >= count:
            head, found, body = received[heads[-1].start() :].partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if found and (length is None or len(body) >= int(length[1])):
                return received
        chunk = connection.recv(65536)
        assert chunk, f"closed after {received!r}"
        received += chunk


def read_rest(connection: socket.socket) -> bytes:
    """Reads until the endpoint ends its answers; a reset is an error."""
    rest = b""
    while chunk := connection.recv(65536):
        rest += chunk
    return rest


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_case_of_http_is_answered_as_expected_however_it_is_cut(stack: Stack, case: Case) -> None:
    for cut in (whole, in_two, byte_by_byte):
        check(stack, case, cut(case.sent()))


def check(stack: Stack, case: Case, pieces: list[bytes]) -> None:
    with connect(stack.port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        received = read_answers(connection, len(case.answers))
        says_close = b"\r\nconnection: close\r\n" in received[received.rindex(b"HTTP/1.1 ") :]
        if says_close:
            rest = read_rest(connection)
        else:
            connection.sendall(HEALTHZ)
            rest = read_answers(connection, 1)

    statuses = [int(status) for status in STATUS.findall(received)]
    assert len(statuses) == len(case.answers)
    assert all(status in allowed for status, allowed in zip(statuses, case.answers, strict=True)), statuses
    assert case.then == "either" or says_close is (case.then == "close")
    assert STATUS.findall(rest) == ([] if says_close else [b"200"])


def test_what_was_answered_as_stored_is_stored(stack: Stack) -> None:
    (case,) = [case for case in cases() if case.name == "a trailer that says close, before another request"]
    before = stack.open_events()

    with connect(stack.port) as connection:
        connection.sendall(case.sent())
        read_answers(connection, 2)

    assert stack.open_events() == before + 2
