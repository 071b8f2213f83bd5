"""The limits of the dashboard's server, on a real socket."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.stack import wait_until
from surehook.dashboard import server as server_module
from surehook.dashboard.app import create_dashboard
from surehook.dashboard.server import build_server
from surehook.dashboard.wsgi import WsgiInThreads, environ_of
from surehook.shared.settings import Settings

GET = b"GET /rq/0/data/queues.json HTTP/1.1\r\nHost: localhost\r\n"
SCOPE: dict[str, Any] = {
    "server": None, "client": None, "headers": [], "method": "GET", "raw_path": b"/", "query_string": b"",
    "http_version": "1.1", "scheme": "http",
}  # fmt: skip
Start = Callable[[], int]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start() -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=500))
            server = build_server(create_dashboard(settings))
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            stack.callback(thread.join, 20)
            stack.callback(server.stop)
            wait_until(lambda: server.started)
            port: int = listener.getsockname()[1]
            return port

        yield start


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def talk(port: int, sent: bytes) -> bytes:
    with connect(port) as connection:
        connection.sendall(sent)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            answer += part
    return answer


def test_a_form_that_breaks_off_is_no_failure_of_its_page(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = SCOPE | {"type": "http", "method": "POST", "path": "/find", "headers": [(b"host", b"localhost")]}
    app: Any = create_dashboard(settings)
    asyncio.run(app(scope, receive, send))

    assert sent[0]["status"] == 400
    assert [record for record in caplog.records if record.name.startswith("surehook")] == []


def test_a_request_is_answered_and_the_connection_closed(start: Start) -> None:
    port = start()

    answer = talk(port, GET + b"\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head.lower()
    assert b"\r\nserver:" not in head.lower()
    assert body.strip() == b'{"queues":[]}'


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(GET, id="without the end of the headers"),
        pytest.param(b"\r\n", id="blank line"),
    ],
)
def test_a_silent_connection_is_closed(sent: bytes, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CONNECTION_SECONDS", 0.3)

    assert talk(start(), sent).partition(b"\r\n")[0] in {b"", b"HTTP/1.1 400 Bad Request"}


def test_a_connection_that_drips_is_closed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CONNECTION_SECONDS", 0.3)
    with connect(start()) as connection:
        connection.sendall(GET)

        def is_closed() -> bool:
            try:
                connection.sendall(b"X: y\r\n")
            except OSError:
                return True
            return False

        wait_until(is_closed)


def test_silent_connections_make_room_for_a_request(start: Start) -> None:
    port = start()
    silent = [connect(port) for _ in range(400)]

    answer = talk(port, GET + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200")
    for connection in silent[:250]:  # the others may still be open
        connection.settimeout(20)
        assert read_all(connection) == b""
    for connection in silent:
        connection.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n", id="a long one"),
        pytest.param(GET + b"x: y\r\n" * 10_000 + b"\r\n", id="many"),
        pytest.param(b"GET /" + b"x" * 40_000, id="an address without end"),
    ],
)
def test_large_headers_are_refused(sent: bytes, start: Start) -> None:
    answer = talk(start(), sent)

    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"no HTTP\r\n\r\n", 400, id="no HTTP"),
        pytest.param(GET + b"Content-Length: x\r\n\r\n", 400, id="no length"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(GET + b"x: y\r\n" * 4_000 + b"\r\n", 431, id="large headers"),
        pytest.param(GET.replace(b"0/data", b"none"), 404, id="no page"),
    ],
)
def test_every_answer_has_the_headers_that_keep_a_browser_safe(sent: bytes, status: int, start: Start) -> None:
    head = talk(start(), sent + b"\r\n").partition(b"\r\n\r\n")[0].lower()

    assert head.startswith(b"http/1.1 %d " % status)
    assert b"content-security-policy: default-src 'none'" in head
    for line in (b"x-frame-options: deny", b"x-content-type-options: nosniff", b"cache-control: no-store"):
        assert line in head.split(b"\r\n")
    assert b"server:" not in head


def test_an_error_of_the_application_is_answered_with_these_headers() -> None:
    def application(*_: object) -> list[bytes]:
        raise OSError

    status, headers, _ = WsgiInThreads(application).respond(SCOPE)

    assert status == 500
    assert (b"x-frame-options", b"DENY") in headers


def test_a_body_is_not_read(start: Start) -> None:
    head = GET.replace(b"GET", b"POST").replace(b"0/data/queues.json", b"requeue/events")
    head += b"X-Requested-With: XMLHttpRequest\r\n"

    unfinished = talk(start(), head + b"Content-Length: 1000000000\r\n\r\nabc")

    assert unfinished.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n", id="another host in HTTP/1.0"),
        pytest.param(b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", id="absolute form"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n\r\n", id="forwarded"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=localhost\r\n\r\n", id="forwarded, new"),
    ],
)
def test_a_request_for_another_host_is_refused(head: bytes, start: Start) -> None:
    answer = talk(start(), head)

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


def test_headers_with_underscores_are_left_out() -> None:
    scope: Any = {
        "method": "GET", "raw_path": b"/%C3%A4%0A", "query_string": b"", "http_version": "1.1", "scheme": "http",
        "server": None, "client": None,
        "headers": [(b"x_requested_with", b"XMLHttpRequest"), (b"accept", b"a"), (b"accept", b"b")],
    }  # fmt: skip

    environ = environ_of(scope)

    assert "HTTP_X_REQUESTED_WITH" not in environ
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["PATH_INFO"].encode("latin-1") == "/ä\n".encode()
