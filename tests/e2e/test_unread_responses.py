"""Clients that never read their responses: the endpoint drops response and connection, and can still stop."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from harness.stack import Stack, wait_until
from tests.support.metrics import metric
from tests.support.raw_http import connect

# The real endpoint, but with buffers so small that responses fill them in a second, not in minutes.
SMALL_ENDPOINT = """
import socket
import surehook.ingest.server
from surehook.shared.settings import load_settings

listen = surehook.ingest.server.listen
def listen_small(address):
    listener = listen(address)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    return listener
surehook.ingest.server.listen = listen_small
surehook.ingest.server.serve(load_settings())
"""
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n\r\n"
# Responses that uvicorn buffers but the kernel does not, and as many as it waits for.
SOME, MANY = 300, 800


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    stack = build_stack()
    command = [sys.executable, "-c", SMALL_ENDPOINT]
    stack.processes.append(subprocess.Popen(command, cwd=stack.folder, env=stack.environ, stderr=stack.log))
    wait_until(stack.is_ready, "ingest is ready")
    return stack


@contextmanager
def asked(stack: Stack, count: int) -> Iterator[socket.socket]:
    """A connection with several requests sent and no response read."""
    with socket.socket() as deaf, connect(stack.port) as other:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deaf.connect(("127.0.0.1", stack.port))
        for _ in range(count):
            deaf.sendall(HEALTHZ)
            other.sendall(HEALTHZ)
            other.recv(65536)  # by now the endpoint has answered this one too, or waits to do it
        other.close()
        wait_until(lambda: metric(stack, "surehook_open_connections") == 1, "it is there")
        yield deaf


def is_left(stack: Stack) -> bool:
    return metric(stack, "surehook_open_connections") == 0


def test_an_unread_response_is_dropped(stack: Stack) -> None:
    with asked(stack, MANY):
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_an_unread_last_response_is_dropped(stack: Stack) -> None:
    with asked(stack, SOME) as deaf:
        deaf.sendall(HEALTHZ[:-2] + b"Connection: close\r\n\r\n")
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_unread_responses_of_a_half_closed_connection_are_dropped(stack: Stack) -> None:
    with asked(stack, SOME) as deaf:
        deaf.shutdown(socket.SHUT_WR)
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_an_unread_response_does_not_keep_the_endpoint_from_stopping(stack: Stack) -> None:
    with asked(stack, MANY):
        stack.processes[0].terminate()

        assert stack.processes[0].wait(15) == 0  # GRACE is 25
