"""Who asks and never reads the answer: the door keeps neither it nor the connection, and is not kept from stopping."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from harness.stack import Stack, wait_until
from tests.support.metrics import metric
from tests.support.raw_http import connect

# The door as it is, but that its answers fill what the kernel takes of them in a second, not in minutes.
SMALL_DOOR = """
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
# Answers that the kernel does not take, but uvicorn does; and as many as it waits for.
SOME, MANY = 300, 800


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    stack = build_stack()
    command = [sys.executable, "-c", SMALL_DOOR]
    stack.processes.append(subprocess.Popen(command, cwd=stack.folder, env=stack.environ, stderr=stack.log))
    wait_until(stack.is_ready, "ingest is ready")
    return stack


@contextmanager
def asked(stack: Stack, count: int) -> Iterator[socket.socket]:
    """A connection on which so much was asked, one thing after the other, and nothing was read."""
    with socket.socket() as deaf, connect(stack.port) as other:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deaf.connect(("127.0.0.1", stack.port))
        for _ in range(count):
            deaf.sendall(HEALTHZ)
            other.sendall(HEALTHZ)
            other.recv(65536)  # by now the door has answered the other one too, or waits to do it
        other.close()
        wait_until(lambda: metric(stack, "surehook_open_connections") == 1, "it is there")
        yield deaf


def is_left(stack: Stack) -> bool:
    return metric(stack, "surehook_open_connections") == 0


def test_an_answer_that_nobody_takes_is_given_up(stack: Stack) -> None:
    with asked(stack, MANY):
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_a_last_answer_that_nobody_takes_is_given_up(stack: Stack) -> None:
    with asked(stack, SOME) as deaf:
        deaf.sendall(HEALTHZ[:-2] + b"Connection: close\r\n\r\n")
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_answers_to_who_has_said_all_and_takes_none_are_given_up(stack: Stack) -> None:
    with asked(stack, SOME) as deaf:
        deaf.shutdown(socket.SHUT_WR)
        wait_until(lambda: is_left(stack), "it is hung up on")


def test_an_answer_that_nobody_takes_does_not_keep_the_door_from_stopping(stack: Stack) -> None:
    with asked(stack, MANY):
        stack.processes[0].terminate()

        assert stack.processes[0].wait(15) == 0  # GRACE is 25
