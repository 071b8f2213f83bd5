"""Transactional deliveries over a socket: in one piece they skip ASGI, in two they do not. Both are treated alike."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from harness.events import USER_ID, an_event
from harness.stack import wait_until
from surehook import Event, Reject
from surehook.events import UserCreate
from surehook.ingest.store.script_batcher import LazyArgument, ScriptBatcher
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import Argument
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import on
from tests.support.ledger import is_balanced
from tests.support.raw_http import read_until_closed, status_of
from tests.support.socket_endpoint import SocketEndpoint, a_post, socket_endpoint
from tests.support.transactional_client import ExecutorFactory
from tests.support.transactions import KEYS, Protocol

DATE = re.compile(rb"date: [^\r]+\r\n")
TIMEOUT_SECONDS = 0.5
both_paths = pytest.mark.parametrize("in_pieces", [False, True], ids=["fast path", "ASGI"])


@pytest.fixture
def asked(settings: Settings) -> Settings:
    return settings.model_copy(update={"transactional_events": ("user.create",), "transaction_timeout": 30})


@pytest.fixture
def endpoint(asked: Settings, protocol: Protocol) -> Iterator[SocketEndpoint]:
    """An endpoint on which every connection is closed, and all room is free again, after the test."""
    protocol.beat("worker")
    with socket_endpoint(asked) as endpoint:
        yield endpoint
        wait_until(lambda: endpoint.limits.connections == 0, "its connections are closed")
        wait_until(lambda: endpoint.limits.pending == 0, "its requests are over")
        assert endpoint.limits.body_bytes == 0


@pytest.fixture
def work(transactional_executor: ExecutorFactory) -> Iterator[None]:
    """A worker whose handler decides by the user's address."""

    @on("user.create", name="check", transactional=True)
    def check(event: UserCreate) -> None:
        assert event.user is not None
        if event.user.email == "no@example.com":
            raise Reject("not you")
        if event.user.email == "broken@example.com":
            raise OSError

    executor, is_over = transactional_executor(), threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def run() -> None:
            while not is_over.is_set():
                executor.run_until_idle(0.05)

        running = pool.submit(run)
        yield
        is_over.set()
        running.result()


def an_event_of(email: str) -> dict[str, Any]:
    return an_event("user.create", user={"id": USER_ID, "email": email})


def answer_of(connection: socket.socket) -> bytes:
    """One response without its date."""
    answer = b""
    while True:
        received = connection.recv(65536)
        assert received, f"closed after {answer!r}"
        answer += received
        head, _, body = answer.partition(b"\r\n\r\n")
        if (length := re.search(rb"content-length: (\d+)", head)) and len(body) >= int(length[1]):
            return DATE.sub(b"", answer)


@pytest.mark.parametrize(
    ("email", "status", "is_said"),
    [
        ("yes@example.com", 200, b'"completed"'),
        ("no@example.com", 422, b"[rejected] not you"),
        ("broken@example.com", 500, b"[handlerFailed]"),
    ],
)
@pytest.mark.usefixtures("work")
def test_both_paths_answer_an_outcome_with_the_same_bytes(
    endpoint: SocketEndpoint, store: redis.Redis, email: str, status: int, is_said: bytes
) -> None:
    found = set()
    for in_pieces in (False, True):
        event = an_event_of(email)
        with endpoint.send(a_post(event), in_pieces=in_pieces) as connection:
            found.add(answer_of(connection).replace(event["id"].encode(), b"ID"))

    (answer,) = found
    assert (status_of(answer), is_said in answer) == (status, True)
    assert endpoint.asgi_requests == ["POST"]
    assert is_balanced(store)


@both_paths
@pytest.mark.parametrize("terms", ["Connection: close", "HTTP/1.0"])
@pytest.mark.usefixtures("work")
def test_a_connection_that_is_not_kept_alive_is_closed(
    endpoint: SocketEndpoint, terms: str, *, in_pieces: bool
) -> None:
    event = an_event_of("no@example.com")
    request = a_post(event, terms) if ":" in terms else a_post(event).replace(b"HTTP/1.1", terms.encode())

    with endpoint.send(request, in_pieces=in_pieces) as connection:
        received = read_until_closed(connection)

    assert (status_of(received), b"connection: close" in received) == (422, True)
    assert endpoint.asgi_requests == ["POST"] * in_pieces


@both_paths
@pytest.mark.usefixtures("work")
def test_a_connection_serves_one_transaction_after_the_other(endpoint: SocketEndpoint, *, in_pieces: bool) -> None:
    with endpoint.send(a_post(an_event_of("yes@example.com")), in_pieces=in_pieces) as connection:
        statuses = [status_of(answer_of(connection))]
        for email in ("no@example.com", "yes@example.com"):
            connection.sendall(a_post(an_event_of(email)))
            statuses.append(status_of(answer_of(connection)))

    assert statuses == [200, 422, 200]
    assert endpoint.asgi_requests == ["POST"] * in_pieces


@both_paths
def test_without_an_outcome_both_paths_answer_504_at_the_deadline(
    settings: Settings, protocol: Protocol, *, in_pieces: bool
) -> None:
    protocol.beat("worker")
    terms = {"transactional_events": ("user.create",), "transaction_timeout": TIMEOUT_SECONDS}
    with socket_endpoint(settings.model_copy(update=terms)) as endpoint:
        with endpoint.send(a_post(an_event("user.create")), in_pieces=in_pieces) as connection:
            answer = answer_of(connection)

        assert (status_of(answer), b"[deadlineExceeded]" in answer) == (504, True)
        counted = {"type": "user.create", "outcome": "abandoned"}
        assert endpoint.metric("surehook_transactions_total", **counted) == 1
        assert endpoint.limits.pending == 0


@both_paths
def test_without_a_worker_both_paths_answer_503_and_count_the_refusal(
    endpoint: SocketEndpoint, protocol: Protocol, *, in_pieces: bool
) -> None:
    protocol.leave("worker")

    with endpoint.send(a_post(an_event("user.create")), in_pieces=in_pieces) as connection:
        answer = answer_of(connection)

    assert (status_of(answer), b"retry-after: 5" in answer) == (503, True)
    assert endpoint.metric("surehook_deliveries_refused_total", reason="no_worker") == 1


@both_paths
def test_two_pipelined_transactions_are_answered_in_their_order(
    endpoint: SocketEndpoint, transactional_executor: ExecutorFactory, *, in_pieces: bool
) -> None:
    refused: list[str] = []

    @on("user.create", name="check", transactional=True)
    def check(event: Event) -> None:
        refused.append(str(event.id))
        raise Reject(f"this is {event.id}")

    events = [an_event("user.create") for _ in range(2)]
    executor = transactional_executor()
    with endpoint.send(b"".join(map(a_post, events)), in_pieces=in_pieces) as connection:
        received = b""
        connection.settimeout(0.02)
        while received.count(b"HTTP/1.1 422 ") < 2:
            executor.run_until_idle(0.02)
            try:
                received += connection.recv(65536)
            except TimeoutError:
                continue

    assert refused == [event["id"] for event in events]
    assert re.findall(rb'"message":"this is ([^"]+)"', received) == [event["id"].encode() for event in events]
    assert endpoint.asgi_requests == ["POST"] * (1 + in_pieces)


@both_paths
@pytest.mark.parametrize("is_half_closed", [False, True], ids=["closed", "half closed"])
def test_an_event_whose_sender_leaves_is_abandoned_at_once(
    endpoint: SocketEndpoint, store: redis.Redis, *, is_half_closed: bool, in_pieces: bool
) -> None:
    event = an_event("user.create")
    connection = endpoint.send(a_post(event), in_pieces=in_pieces)
    wait_until(lambda: store.hget(KEYS.transaction(event["id"]), "state") == b"waiting", "it waits")

    if is_half_closed:
        connection.shutdown(socket.SHUT_WR)
        assert read_until_closed(connection) == b""
    connection.close()

    wait_until(lambda: store.hget(KEYS.transaction(event["id"]), "state") == b"abandoned", "it is abandoned")
    wait_until(lambda: endpoint.limits.pending == 0, "its room is free")
    assert endpoint.metric("surehook_deliveries_refused_total", reason="sender_left") == 1
    assert store.llen(KEYS.rq_queue(TRANSACTIONAL_QUEUE)) == 0
    assert endpoint.asgi_requests == ["POST"] * in_pieces


@both_paths
@pytest.mark.usefixtures("work")
def test_a_success_whose_sender_left_after_the_confirmation_is_a_lost_response(
    endpoint: SocketEndpoint, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, *, in_pieces: bool
) -> None:
    event, call = an_event_of("yes@example.com"), ScriptBatcher.call

    async def reply_when_the_sender_has_left(self: ScriptBatcher, name: str, *args: Argument | LazyArgument) -> Any:
        reply = await call(self, name, *args)
        while name == "txn_confirm" and endpoint.limits.connections:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)  # ASGI tells of a disconnect a turn of the loop later
        return reply

    monkeypatch.setattr(ScriptBatcher, "call", reply_when_the_sender_has_left)
    connection = endpoint.send(a_post(event), in_pieces=in_pieces)
    wait_until(lambda: store.hget(KEYS.event(event["id"]), "decision") == b"completed", "it is confirmed")

    connection.close()

    wait_until(lambda: endpoint.metric("surehook_responses_lost_after_confirm_total") == 1, "it is counted")
    assert store.zrange(KEYS.decided("unanswered"), 0, -1) == [event["id"].encode()]
    assert endpoint.metric("surehook_transactions_total", type="user.create", outcome="completed") == 1
    assert endpoint.asgi_requests == ["POST"] * in_pieces
