"""A transaction on the fast path: a task that is one of uvicorn's, and ends with a response or with its client."""

import asyncio
import gc
import json
import time
import weakref
from typing import Any

import pytest

from harness.stack import API_KEY
from surehook.ingest import responses
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.endpoint import WebhookEndpoint
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.refusals import Refusals
from surehook.shared.envelope import Envelope
from surehook.shared.settings import Settings
from tests.support.fake_endpoint import BODY, ClientConnection, FakeEndpoint, a_delivery, run_with

REFUSED = responses.rejected("not you")


class Handlers:
    """Decides the transactions of an endpoint when the test says so."""

    def __init__(self) -> None:
        self.outcomes: list[asyncio.Future[responses.Response]] = []
        self.disconnects: list[asyncio.Future[None]] = []

    async def __call__(self, disconnect: "asyncio.Future[None]") -> responses.Response | None:
        self.disconnects.append(disconnect)
        outcome: asyncio.Future[responses.Response] = asyncio.Future()
        self.outcomes.append(outcome)
        waited: list[asyncio.Future[Any]] = [outcome, disconnect]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return None if disconnect.done() else outcome.result()


def test_it_is_answered_when_it_is_decided() -> None:
    handlers = Handlers()
    endpoint = FakeEndpoint(decides=handlers)

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        assert (connection.statuses, endpoint.limits.pending) == ([], 1)
        assert len(connection.protocol.tasks) == 1
        handlers.outcomes[0].set_result(REFUSED)
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert (connection.statuses, connection.through_asgi) == ([422], [])
    assert connection.transport.sent.endswith(REFUSED.body)
    assert (endpoint.limits.pending, connection.protocol.tasks) == (0, set())
    assert not connection.protocol.transport.is_closing()


def test_a_pipelined_request_waits_for_the_transaction_before_it() -> None:
    handlers = Handlers()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery() + a_delivery())
        assert (connection.statuses, connection.through_asgi) == ([], [])
        handlers.outcomes[0].set_result(REFUSED)
        await connection.turn()
        await connection.turn()

    connection = run_with(FakeEndpoint(decides=handlers), scenario)

    assert (connection.statuses, connection.through_asgi) == ([422, 200], [BODY])


@pytest.mark.parametrize("reset", [None, ConnectionResetError()], ids=["closed", "reset"])
def test_it_learns_that_its_client_has_disconnected_and_nothing_is_left(reset: Exception | None) -> None:
    handlers = Handlers()
    endpoint = FakeEndpoint(decides=handlers)

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.transport.abort()  # as when the connection is lost
        connection.protocol.connection_lost(reset)
        assert handlers.disconnects[0].done()
        await connection.turn()

    gc.disable()
    try:
        connection = run_with(endpoint, scenario)
        endpoint.pending.clear()
        handlers.outcomes.clear()
        assert (connection.transport.sent, endpoint.limits.pending) == (b"", 0)
        protocol = weakref.ref(connection.protocol)
        del connection.protocol
        assert protocol() is None
    finally:
        gc.enable()


def test_a_client_that_half_closes_has_disconnected() -> None:
    handlers = Handlers()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.protocol.eof_received()
        assert connection.transport.is_closing()
        connection.protocol.connection_lost(None)

    connection = run_with(FakeEndpoint(decides=handlers), scenario)

    assert handlers.disconnects[0].done()
    assert connection.transport.sent == b""


def test_a_response_that_comes_after_the_disconnect_is_not_written() -> None:
    decided: list[asyncio.Future[None]] = []

    async def confirm(disconnect: "asyncio.Future[None]") -> responses.Response:
        await disconnect  # the client leaves while the store confirms
        decided.append(disconnect)
        return responses.completed("an id")

    endpoint = FakeEndpoint(decides=confirm)

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.transport.abort()
        connection.protocol.connection_lost(None)
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert len(decided) == 1
    assert (connection.transport.sent, endpoint.limits.pending) == (b"", 0)


@pytest.mark.parametrize("failure", ["a bug", "the end of the grace period"])
def test_a_failure_is_answered_500_and_logged(failure: str, caplog: pytest.LogCaptureFixture) -> None:
    handlers = Handlers()
    endpoint = FakeEndpoint(decides=handlers)

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        if failure == "a bug":
            handlers.outcomes[0].set_exception(RuntimeError(failure))
        else:
            for task in connection.protocol.tasks:
                task.cancel()
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert connection.statuses == [500]
    assert json.loads(connection.transport.sent.partition(b"\r\n\r\n")[2])["exception"] == "[internalError]"
    assert connection.protocol.transport.is_closing()
    assert (endpoint.limits.pending, connection.protocol.tasks) == (0, set())
    assert [record.getMessage() for record in caplog.records] == ["response failed"]


def test_a_response_that_cannot_be_written_closes_the_connection() -> None:
    handlers = Handlers()
    endpoint = FakeEndpoint(decides=handlers)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    async def scenario(connection: ClientConnection) -> None:
        connection.protocol.buffered.write_response = fail  # type: ignore[method-assign,assignment]
        await connection.receive(a_delivery())
        handlers.outcomes[0].set_result(REFUSED)
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert connection.transport.is_closing()
    assert endpoint.limits.pending == 0


def test_a_stopping_process_answers_it_and_closes_the_connection() -> None:
    handlers = Handlers()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.protocol.shutdown()
        assert not connection.transport.is_closing()
        handlers.outcomes[0].set_result(REFUSED)
        await connection.turn()

    connection = run_with(FakeEndpoint(decides=handlers), scenario)

    assert connection.statuses == [422]
    assert b"connection: close" in connection.transport.sent
    assert connection.protocol.transport.is_closing()


def test_its_deadline_counts_from_its_headers() -> None:
    class FakeCoordinator:
        def include(self, _: Envelope) -> bool:
            self.parsed_at = time.perf_counter()
            return True

        async def decide(self, _: Envelope, __: object, started_at: float) -> responses.Response:
            self.started_at = started_at
            return REFUSED

    settings = Settings(api_keys=(API_KEY,), metrics_bind="off")
    limits, metrics, coordinator = Limits(settings), IngestMetrics(), FakeCoordinator()
    terms: Any = {"acceptor": None, "coordinator": coordinator, "max_body_bytes": 4096}
    authenticator, refusals = authenticator_from(settings, metrics), Refusals(metrics)

    async def play() -> ClientConnection:
        endpoint = WebhookEndpoint(authenticator, limits, metrics=metrics, refusals=refusals, **terms)
        connection = ClientConnection(endpoint, limits)
        await connection.receive(a_delivery())
        return connection

    connection = asyncio.run(play())

    assert (connection.statuses, connection.through_asgi) == ([422], [])
    assert coordinator.started_at < coordinator.parsed_at
