"""What breaks on the short way is one delivery's, and leaves nothing behind."""

import asyncio
import gc
import weakref

import pytest

from harness.stack import API_KEY
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.endpoint import WebhookEndpoint
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.store.acceptor import Acceptor, Outcome
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from tests.support.fake_endpoint import PATH, ClientConnection, FakeEndpoint, a_delivery, run_with


def test_a_place_is_given_back_once_where_the_store_is_not_ready() -> None:
    settings = Settings(api_keys=(API_KEY,), metrics_bind="off")
    limits, metrics = Limits(settings), IngestMetrics()

    async def play() -> list[int]:
        intake = Acceptor(settings, metrics)  # never run
        connection = ClientConnection(
            WebhookEndpoint(authenticator_from(settings, metrics), limits, intake, metrics, max_body_bytes=4096), limits
        )
        await connection.receive(a_delivery(), a_delivery())
        return connection.statuses

    assert asyncio.run(play()) == [503, 503]
    assert (limits.pending, limits.body_bytes) == (0, 0)


@pytest.mark.parametrize("when", ["told no", "told yes", "refused"])
def test_an_answer_that_breaks_costs_its_own_connection_only(when: str) -> None:
    endpoint = FakeEndpoint(starts=StoreUnavailable() if when == "refused" else True)

    def break_down(*_: object) -> None:
        raise OSError("the disk is full")

    async def scene(connection: ClientConnection) -> None:
        endpoint.respond = endpoint.refuse = break_down  # type: ignore[method-assign,assignment]
        await connection.receive(a_delivery())
        if when == "told yes":
            endpoint.pending[0].set_result(Outcome.STORED)
        elif when == "told no":
            endpoint.pending[0].set_exception(StoreUnavailable())

    connection = run_with(endpoint, scene)

    assert connection.transport.sent == b""
    assert connection.transport.is_closing()
    assert endpoint.limits.pending == 0


@pytest.mark.parametrize("reset", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_delivery(), id="a delivery"),
        pytest.param(a_delivery() * 2, id="and one that waits behind it"),
        pytest.param(a_delivery().replace(PATH.encode(), b"/healthz"), id="a stranger's request"),
    ],
)
def test_a_lost_connection_leaves_nothing_behind(sent: bytes, reset: Exception | None) -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(sent)
        if sent == a_delivery():
            endpoint.pending[0].set_result(Outcome.STORED)
        connection.transport.abort()  # as a transport that is lost
        connection.protocol.connection_lost(reset)
        assert connection.protocol.timeout_keep_alive_task is None
        if sent == a_delivery() * 2:
            endpoint.pending[0].set_result(Outcome.STORED)

    gc.disable()
    try:
        connection = run_with(endpoint, scene)
        endpoint.pending.clear()
        protocol = weakref.ref(connection.protocol)
        del connection.protocol
        assert protocol() is None
    finally:
        gc.enable()
