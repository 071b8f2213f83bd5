"""A store that stalls: events wait for its reply, and one that comes late costs no connection."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.transactional.heartbeat import Heartbeat
from surehook.shared.embedded import socket_path
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from surehook.shared.store_address import parse_store_address
from tests.integration.test_sentinel_discovery import endpoint_connections
from tests.integration.test_session import an_envelope, running, settled, until
from tests.support.cut_link import Link, link_to
from tests.support.endpoint import open_endpoint


@pytest.fixture
def link(data_dir: Path) -> Iterator[Link]:
    """The way to the store, which holds replies back."""
    with link_to(socket_path(data_dir)) as link:
        yield link


def by_way_of(link: Link, settings: Settings) -> Settings:
    address = parse_store_address(f"redis://127.0.0.1:{link.port}/0")
    return settings.model_copy(update={"redis_url": address, "store_timeout": 1.0})


def test_a_late_reply_is_taken_and_the_connection_stays(
    link: Link, settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    event = an_envelope()

    async def play() -> None:
        async with running(by_way_of(link, settings)) as acceptor:
            await until(lambda: acceptor.is_ready)
            await acceptor.accept(an_envelope())  # from now on the store knows the script
            connections = endpoint_connections(store)
            link.passes_replies = False
            assert await settled(acceptor.accept(event)) == [StoreUnavailable]
            assert await settled(acceptor.accept(an_envelope())) == [StoreUnavailable]  # at once
            link.passes_replies = True
            await until(lambda: acceptor.is_ready)

            assert await acceptor.accept(event) is AcceptResult.DUPLICATE
            assert endpoint_connections(store) == connections

    asyncio.run(play())

    reasons = [getattr(record, "reason", "") for record in caplog.records if record.message == "store not ready"]
    assert reasons == ["no reply within 1 s"]


def test_an_idle_endpoint_whose_store_stalls_for_a_second_logs_no_error(
    link: Link, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, has_failed = Heartbeat._send, threading.Event()  # noqa: SLF001 - a heartbeat that fails leaves no trace

    async def send_and_tell(self: Heartbeat) -> None:
        try:
            await send(self)
        except StoreUnavailable:
            has_failed.set()
            raise

    monkeypatch.setattr(Heartbeat, "_send", send_and_tell)
    with open_endpoint(by_way_of(link, settings)) as endpoint:
        has_failed.clear()
        link.passes_replies = False
        assert has_failed.wait(20), "it lasts longer than the heartbeat waits"
        link.passes_replies = True

        assert endpoint.is_ready()

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
