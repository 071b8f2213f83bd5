"""Clients that never finish a request: the endpoint does not wait for them."""

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.events import a_body
from harness.stack import Stack
from surehook.ingest.body import BODY_SECONDS
from surehook.ingest.http.protocol import HEADERS_SECONDS
from tests.support.raw_http import a_request, connect, status_of

MARGIN_SECONDS = 3.0
DRIBBLE_EVERY_SECONDS = 0.5


@dataclass
class Dribbler:
    """A client that sends a first piece, then a little every now and then, until the endpoint closes."""

    connection: socket.socket
    little: bytes
    received: bytes = b""
    began_at: float = field(default_factory=time.monotonic)
    lasted_seconds: float | None = None

    def dribble(self) -> None:
        try:
            if self.little:
                self.connection.sendall(self.little)
        except (BrokenPipeError, ConnectionResetError):
            self.listen()

    def listen(self) -> None:
        try:
            heard = self.connection.recv(65536)
        except ConnectionResetError:
            heard = b""
        self.received += heard
        if not heard:
            self.lasted_seconds = time.monotonic() - self.began_at
            self.connection.close()


def start_dribbling(port: int, first: bytes, little: bytes) -> Dribbler:
    connection = connect(port)
    connection.sendall(first)
    return Dribbler(connection, little)


def dribble_until_closed(dribblers: list[Dribbler], seconds: float) -> None:
    """A client still connected at the end has no `lasted_seconds`."""
    deadline = time.monotonic() + seconds
    next_at = time.monotonic()
    while going := [dribbler for dribbler in dribblers if dribbler.lasted_seconds is None]:
        if time.monotonic() > deadline:
            return
        by_socket = {dribbler.connection: dribbler for dribbler in going}
        wait = max(0.0, next_at - time.monotonic())
        for heard in select.select(list(by_socket), [], [], wait)[0]:
            by_socket[heard].listen()
        if time.monotonic() >= next_at:
            next_at += DRIBBLE_EVERY_SECONDS
            for dribbler in going:
                if dribbler.lasted_seconds is None:
                    dribbler.dribble()


def test_slow_clients_are_disconnected_and_no_other_client_waits(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    stack.start_ingest()
    healthz = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n"
    slow_body = start_dribbling(stack.port, a_request("Content-Length: 10000"), b" ")
    slow_chunks = start_dribbling(stack.port, a_request("Transfer-Encoding: chunked"), b"1\r\n \r\n")
    silent = start_dribbling(stack.port, b"", b"")
    slow_headers = start_dribbling(stack.port, a_request()[:-2], b"X-More: x\r\n")
    empty_lines = start_dribbling(stack.port, b"", b"\r\n")
    second_request = start_dribbling(stack.port, healthz + b"\r\n" + healthz, b"X-More: x\r\n")
    after_an_answer = start_dribbling(stack.port, healthz + b"\r\n", b"\r\n")
    unasked_body = start_dribbling(stack.port, healthz + b"Content-Length: 10000\r\n\r\n", b" ")
    senders = [slow_body, slow_chunks, silent, slow_headers, empty_lines]
    senders += [second_request, after_an_answer, unasked_body]

    answer = stack.deliver(body=a_body())
    limit = max(BODY_SECONDS, HEADERS_SECONDS)
    dribble_until_closed(senders, limit + MARGIN_SECONDS)

    for sender in senders:
        sender.connection.close()
    assert answer.status_code == 202
    assert [sender for sender in senders if sender.lasted_seconds is None] == []
    assert all(limit - 1 < (sender.lasted_seconds or 0) < limit + MARGIN_SECONDS for sender in senders)
    assert [status_of(sender.received) for sender in (slow_body, slow_chunks)] == [400, 400]
    assert b"[malformed] the body did not arrive within 10 seconds" in slow_body.received
    assert [sender.received for sender in (silent, slow_headers, empty_lines)] == [b"", b"", b""]
    assert stack.open_events() == 1


def test_a_connection_that_stands_idle_after_an_answer_is_closed(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    stack.start_ingest(SUREHOOK_KEEP_ALIVE="1")
    body = a_body()

    with connect(stack.port) as idle:
        idle.settimeout(4)  # uvicorn by itself would take five seconds
        idle.sendall(a_request(f"Content-Length: {len(body)}", body=body))
        answer = idle.recv(65536)
        end = idle.recv(65536)

    assert status_of(answer) == 202
    assert b"connection: close" not in answer
    assert end == b""
