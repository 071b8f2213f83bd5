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
from tests.support.fake_endpoint import PATH, Doorkeeper, Place, a_delivery, at


def test_a_place_is_given_back_once_where_the_store_is_not_ready() -> None:
    settings = Settings(api_keys=(API_KEY,), metrics_bind="off")
    bounds, metrics = Limits(settings), IngestMetrics()

    async def play() -> list[int]:
        intake = Acceptor(settings, metrics)  # never run
        place = Place(
            WebhookEndpoint(authenticator_from(settings, metrics), bounds, intake, metrics, max_body_bytes=4096), bounds
        )
        await place.hear(a_delivery(), a_delivery())
        return place.statuses

    assert asyncio.run(play()) == [503, 503]
    assert (bounds.pending, bounds.body_bytes) == (0, 0)


@pytest.mark.parametrize("when", ["told no", "told yes", "refused"])
def test_an_answer_that_breaks_costs_its_own_connection_only(when: str) -> None:
    door = Doorkeeper(says=StoreUnavailable() if when == "refused" else True)

    def break_down(*_: object) -> None:
        raise OSError("the disk is full")

    async def scene(place: Place) -> None:
        door.respond = door.refuse = break_down  # type: ignore[method-assign,assignment]
        await place.hear(a_delivery())
        if when == "told yes":
            door.whole[0].set_result(Outcome.STORED)
        elif when == "told no":
            door.whole[0].set_exception(StoreUnavailable())

    place = at(door, scene)

    assert place.wire.said == b""
    assert place.wire.is_closing()
    assert door.bounds.pending == 0


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
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(sent)
        if sent == a_delivery():
            door.whole[0].set_result(Outcome.STORED)
        place.wire.abort()  # as a transport that is lost
        place.protocol.connection_lost(reset)
        assert place.protocol.timeout_keep_alive_task is None
        if sent == a_delivery() * 2:
            door.whole[0].set_result(Outcome.STORED)

    gc.disable()
    try:
        place = at(door, scene)
        door.whole.clear()
        protocol = weakref.ref(place.protocol)
        del place.protocol
        assert protocol() is None
    finally:
        gc.enable()
