"""nginx and HAProxy before the endpoint: whatever others send through them, genuine deliveries are stored."""

import http.client
import select
import socket
from collections.abc import Iterator

import pytest

from harness.events import a_body, an_event
from harness.stack import API_KEY, Stack
from surehook.shared.keys import Keys
from tests.support.http_corpus import Case, cases
from tests.support.proxies import NAMES, proxy_before
from tests.support.raw_http import a_request, connect, status_of

pytestmark = pytest.mark.chaos

LARGE = b"x" * 5 * 1024 * 1024
LENGTH = f"Content-Length: {len(LARGE)}"
GENUINE = 3  # HAProxy gives a client's first request a connection of its own, later ones a used one
ANSWER_SECONDS = 0.3  # a proxy waits for the rest of a broken request; so does not this test


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.start_ingest()
    yield stack
    stack.close()


@pytest.fixture(scope="module", params=NAMES, ids=lambda name: name.replace(" ", "_"))
def proxy(request: pytest.FixtureRequest, stack: Stack) -> Iterator[int]:
    """The port of a proxy."""
    with proxy_before(stack, request.param) as port:
        yield port


class Sender:
    """A genuine sender that keeps its connection to the proxy, as FusionAuth does."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def deliver(self) -> tuple[int, str]:
        event = an_event()
        headers = {"Authorization": API_KEY, "Content-Type": "application/json"}
        self._connection.request("POST", "/fusionauth-webhook", a_body(event), headers)
        response = self._connection.getresponse()
        response.read()
        return response.status, event["id"]

    def close(self) -> None:
        self._connection.close()


def check_genuine(stack: Stack, port: int, after: str) -> None:
    sender = Sender(port)
    results = [sender.deliver() for _ in range(GENUINE)]
    sender.close()

    assert [status for status, _ in results] == [202] * GENUINE, after
    with stack.redis() as store:
        assert all(store.exists(Keys().event(event_id)) for _, event_id in results), after


def provoke(port: int, case: Case) -> socket.socket:
    """Sends a case, and waits for a first answer."""
    connection = connect(port)
    connection.sendall(case.sent())
    select.select([connection], [], [], ANSWER_SECONDS)
    return connection


def test_genuine_deliveries_are_stored_after_any_case_of_http(stack: Stack, proxy: int) -> None:
    for case in cases():
        with provoke(proxy, case):
            check_genuine(stack, proxy, case.name)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(a_request(LENGTH, authorization="wrong"), 401, id="a wrong key"),
        pytest.param(a_request(LENGTH).replace(b"/fusionauth-webhook", b"/elsewhere"), 404, id="another path"),
        pytest.param(a_request(LENGTH, "Content-Encoding: gzip"), 415, id="compressed"),
        pytest.param(a_request("Content-Length: 15000000"), 413, id="too large"),
    ],
)
def test_early_answers_pass_a_proxy_and_leave_the_endpoint_in_service(
    stack: Stack, proxy: int, head: bytes, status: int
) -> None:
    body = LARGE * 3 if status == 413 else LARGE

    for _ in range(6):
        with connect(proxy) as connection:
            connection.sendall(head + body[:15_000_000])
            assert status_of(connection.recv(65536)) == status
    check_genuine(stack, proxy, str(status))
