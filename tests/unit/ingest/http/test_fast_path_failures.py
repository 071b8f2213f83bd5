"""Failures on the fast path affect one delivery only and leak nothing."""

import asyncio
import gc
import weakref

import pytest

from harness.stack import API_KEY
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.endpoint import WebhookEndpoint
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.refusals import Refusals
from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.store.acceptor import Acceptor
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from tests.support.fake_endpoint import PATH, ClientConnection, FakeEndpoint, a_delivery, run_with


def test_a_reservation_is_released_once_while_the_store_is_unavailable() -> None:
    settings = Settings(api_keys=(API_KEY,), metrics_bind="off")
    limits, metrics = Limits(settings), IngestMetrics()

    async def play() -> list[int]:
        acceptor = Acceptor(settings, metrics)  # never run
        connection = ClientConnection(
            WebhookEndpoint(
                authenticator_from(settings, metrics), limits, acceptor, metrics, Refusals(metrics), max_body_bytes=4096
            ),
            limits,
        )
        await connection.receive(a_delivery(), a_delivery())
        return connection.statuses

    assert asyncio.run(play()) == [503, 503]
    assert (limits.pending, limits.body_bytes) == (0, 0)


@pytest.mark.parametrize("when", ["store failed", "stored", "refused"])
def test_a_failing_response_closes_only_its_own_connection(when: str) -> None:
    endpoint = FakeEndpoint(starts=StoreUnavailable() if when == "refused" else True)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    async def scenario(connection: ClientConnection) -> None:
        endpoint.respond = endpoint.refuse = fail  # type: ignore[method-assign,assignment]
        await connection.receive(a_delivery())
        if when == "stored":
            endpoint.pending[0].set_result(AcceptResult.STORED)
        elif when == "store failed":
            endpoint.pending[0].set_exception(StoreUnavailable())

    connection = run_with(endpoint, scenario)

    assert connection.transport.sent == b""
    assert connection.transport.is_closing()
    assert endpoint.limits.pending == 0


@pytest.mark.parametrize("reset", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_delivery(), id="a delivery"),
        pytest.param(a_delivery() * 2, id="and a pipelined one"),
        pytest.param(a_delivery().replace(PATH.encode(), b"/healthz"), id="another path"),
    ],
)
def test_a_lost_connection_leaves_nothing_behind(sent: bytes, reset: Exception | None) -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(sent)
        if sent == a_delivery():
            endpoint.pending[0].set_result(AcceptResult.STORED)
        connection.transport.abort()  # as when the connection is lost
        connection.protocol.connection_lost(reset)
        assert connection.protocol.timeout_keep_alive_task is None
        if sent == a_delivery() * 2:
            endpoint.pending[0].set_result(AcceptResult.STORED)

    gc.disable()
    try:
        connection = run_with(endpoint, scenario)
        endpoint.pending.clear()
        protocol = weakref.ref(connection.protocol)
        del connection.protocol
        assert protocol() is None
    finally:
        gc.enable()
