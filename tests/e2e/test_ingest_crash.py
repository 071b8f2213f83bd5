"""An ingest process that meets an error of ours answers what it has, says so with its exit status, and is replaced."""

import asyncio
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.processes import children_of
from harness.stack import Stack, wait_until
from surehook.shared.embedded import socket_path
from tests.support.raw_http import a_request, connect, status_of
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

Build = Callable[..., Stack]
# An empty list. Asked for its role, no store replies that, so nothing of ours expects it.
NOTHING = b"*0\r\n"
ROLE = b"ROLE"


@contextmanager
def between(store: Path) -> Iterator[TcpProxy]:
    """A tcp_proxy at work in a thread, for a test that waits."""
    men: list[tuple[TcpProxy, Callable[[], object]]] = []

    async def work() -> None:
        loop, is_over = asyncio.get_running_loop(), asyncio.Event()
        async with tcp_proxy(store) as man:
            men.append((man, lambda: loop.call_soon_threadsafe(is_over.set)))
            await is_over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    ((man, end),) = wait_until(lambda: men)
    try:
        yield man
    finally:
        end()
        thread.join()


class NoStore(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while asked := self.request.recv(65536):
            self.request.sendall(NOTHING * asked.count(b"*"))


@pytest.fixture
def no_store() -> Iterator[int]:
    """The port of a server that replies nothing to anything."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NoStore) as server:
        threading.Thread(target=server.serve_forever).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_broken_session_ends_its_process_with_a_status(build_stack: Build) -> None:
    stack = build_stack()
    body = b'{"event": {"type": "test"}}'
    request = a_request(f"Content-Length: {len(body)}", "Connection: close", body=body)
    with between(socket_path(stack.data)) as man:
        ingest = stack.start_ingest(
            SUREHOOK_REDIS_URL=f"redis://127.0.0.1:{man.port}/0", SUREHOOK_GRACE="10", SUREHOOK_SPOOL_DIR="off"
        )
        with connect(stack.port) as under_way:
            under_way.sendall(request[:-1])
            man.instead_for, man.instead = ROLE, NOTHING * 3
            wait_until(lambda: "background task failed" in stack.logged(), "it says so")
            under_way.sendall(request[-1:])
            answer = under_way.recv(65536)

        assert ingest.wait(20) == 1
    assert status_of(answer) == 503
    lines = [json.loads(line) for line in stack.logged().splitlines() if "background task failed" in line]
    assert [line["level"] for line in lines] == ["CRITICAL"]
    assert "durability.py" in lines[0]["error"]


def test_a_process_that_cannot_even_begin_ends_with_a_status(build_stack: Build, no_store: int) -> None:
    stack = build_stack()

    ingest = stack.surehook("ingest", SUREHOOK_REDIS_URL=f"redis://127.0.0.1:{no_store}/0")

    assert ingest.wait(20) == 1


def test_one_of_several_that_breaks_is_replaced(build_stack: Build) -> None:
    stack = build_stack()
    with between(socket_path(stack.data)) as man:
        pool = stack.surehook("ingest", "--processes", "1", SUREHOOK_REDIS_URL=f"redis://127.0.0.1:{man.port}/0")
        wait_until(stack.is_ready, "it serves")
        (first,) = children_of(pool.pid)
        man.instead_for, man.instead = ROLE, NOTHING * 3
        wait_until(lambda: '"ingest process died"' in stack.logged(), "it ends")
        man.instead = None

        wait_until(stack.is_ready, "another serves")
        assert children_of(pool.pid) != [first]
        pool.terminate()
        assert pool.wait(20) == 0
