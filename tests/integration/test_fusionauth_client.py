"""The client of FusionAuth's API says what is wrong with an address, a certificate, a proxy or a slow answer."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.stack import wait_until
from surehook.fusionauth import transport
from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.transport import RETRY_SECONDS, FusionAuthError, SearchTooBroad
from surehook.shared.errors import Misconfigured
from tests.support.expiring_certificate import a_certificate

KEY = "a-planted-key-of-the-api"
Response = tuple[int, dict[str, str], bytes]
EMPTY = json.dumps({"total": 0, "webhookEventLogs": []}).encode()


class Server(ThreadingHTTPServer):
    """Answers with the responses of its list, then with the last; `silent` holds answers back."""

    daemon_threads = True

    def __init__(self, *responses: Response, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.responses, self.requests = list(responses), 0
        self.silent = threading.Event()
        self.silent.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.requests += 1
        self.server.silent.wait(10)
        responses = self.server.responses
        status, headers, body = responses.pop(0) if len(responses) > 1 else responses[0]
        self.send_response_only(status)  # without a Date of its own
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(*responses: Response, port: int = 0) -> Iterator[Server]:
    server = Server(*responses, port=port)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.silent.set()
        server.shutdown()
        server.server_close()


def client_of(url: str, key: str = KEY) -> FusionAuthClient:
    return FusionAuthClient(url, key, sleep=lambda _: None)


def search(client: FusionAuthClient, **more: Any) -> Any:
    return client.search_event_log(start_ms=0, end_ms=1, start_row=0, rows=1, **more)


HALF = (200, {"Content-Length": "999"}, EMPTY[:9])


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([(500, {}, b""), (503, {}, b"")], id="it starts"),
        pytest.param([(429, {}, b"")], id="too many requests"),
        pytest.param([HALF, HALF], id="half of a body"),
    ],
)
def test_a_search_goes_on_after_errors_of_fusionauth(errors: list[Response]) -> None:
    with served(*errors, (200, {}, EMPTY)) as server, client_of(server.url) as client:
        assert search(client) == (0, [])
        assert server.requests == len(errors) + 1


def test_a_search_goes_on_after_a_restart_of_fusionauth() -> None:
    with served((200, {}, EMPTY)) as before:
        port = before.server_port
    pauses: list[float] = []

    with ExitStack() as stack:

        def start_again(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                stack.enter_context(served((503, {}, b""), (200, {}, EMPTY), port=port))

        with FusionAuthClient(f"http://127.0.0.1:{port}", KEY, sleep=start_again) as client:
            assert search(client) == (0, [])

    assert pauses == [*RETRY_SECONDS]


def test_half_of_a_body_again_and_again_is_an_error_and_no_empty_log() -> None:
    with served(HALF) as server, client_of(server.url) as client:
        with pytest.raises(FusionAuthError, match="no answer from FusionAuth"):
            search(client)
        assert server.requests == 4


@pytest.mark.parametrize(
    ("response", "words"),
    [
        pytest.param((500, {}, b""), "answers 500", id="always 500"),
        pytest.param((200, {}, b"<html>"), "does not answer as FusionAuth does", id="a page"),
        pytest.param((200, {}, b"[" * 100_000), "does not answer as FusionAuth does", id="deep nesting"),
        pytest.param((200, {}, b'{"webhookEventLogs": []}'), "names no total", id="no total"),
        pytest.param((200, {}, b'{"total": 3, "webhookEventLogs": 3}'), "names no total", id="no rows"),
        pytest.param((200, {"Content-Encoding": "gzip"}, b"no gzip"), "no answer from FusionAuth", id="no gzip"),
        pytest.param((302, {"Location": "https://sso.example/in?to=x"}, b""), "redirects to https://sso.example/in:",
                     id="a redirect"),
    ],
)  # fmt: skip
def test_an_odd_answer_is_an_error_and_no_empty_log(response: Response, words: str) -> None:
    with (
        served(response) as server,
        client_of(server.url) as client,
        pytest.raises(FusionAuthError, match=words) as caught,
    ):
        search(client)

    assert KEY not in str(caught.value)


def test_a_search_that_takes_too_long_is_not_repeated_but_asks_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", 0.2)
    pauses: list[float] = []
    with served((200, {}, EMPTY)) as server, FusionAuthClient(server.url, KEY, sleep=pauses.append) as client:
        server.silent.clear()
        with pytest.raises(SearchTooBroad):
            search(client)

        assert pauses == []
        wait_until(lambda: server.requests == 1, "the server has read it")


def test_an_answer_that_comes_in_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", -1.0)
    with served((200, {}, EMPTY)) as server, client_of(server.url) as client, pytest.raises(SearchTooBroad):
        search(client)


def test_an_answer_that_is_too_large_is_not_read_whole() -> None:
    with served((200, {}, b" " * 100_000 + EMPTY)) as server, client_of(server.url) as client:
        with pytest.raises(SearchTooBroad):
            search(client, max_bytes=1000)

        assert search(client) == (0, [])


@pytest.mark.parametrize(("date", "hours"), [("Fri, 01 Jan 2100 00:00:00 GMT", 24), ("", 0), ("yesterday", 0)])
def test_fusionauths_clock_is_read_from_its_answers(date: str, hours: int) -> None:
    with served((200, {"Date": date} if date else {}, EMPTY)) as server, client_of(server.url) as client:
        search(client)

        assert client.clock_skew_ms >= hours * 3_600_000
        assert bool(client.clock_skew_ms) is bool(hours)


def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*a_certificate(tmp_path, datetime.now(UTC) + timedelta(days=9)))
    with served((200, {}, EMPTY)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with (
            client_of(server.url.replace("http:", "https:")) as client,
            pytest.raises(FusionAuthError, match="its certificate is not trusted: self-signed certificate"),
        ):
            search(client)


def test_a_key_that_no_header_can_hold_is_named_and_not_shown() -> None:
    with pytest.raises(Misconfigured, match="SUREHOOK_FUSIONAUTH_API_KEY") as caught:
        client_of("http://127.0.0.1:1", "schlüssel-0123456789")

    assert "schl" not in str(caught.value)
