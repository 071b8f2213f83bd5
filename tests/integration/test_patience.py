"""A store that stalls: events wait for its reply, and one that comes late costs no connection."""

import asyncio
from pathlib import Path

import pytest
import redis

from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.embedded import socket_path
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from tests.integration.test_session import an_envelope, running, settled, until
from tests.support.endpoint import open_endpoint
from tests.support.tcp_proxy import tcp_proxy


def test_a_late_reply_is_taken_and_the_connection_stays(
    data_dir: Path, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    event = an_envelope()

    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir)) as man:
            impatient = Settings(redis_url=f"redis://127.0.0.1:{man.port}/0", store_timeout=0.1)
            async with running(impatient) as acceptor:
                await until(lambda: acceptor.is_ready)
                await acceptor.accept(an_envelope())  # from now on the store knows the script
                connections = man.connections
                store.client_pause(400)
                assert await settled(acceptor.accept(event)) == [StoreUnavailable]
                assert await settled(acceptor.accept(an_envelope())) == [StoreUnavailable]  # at once
                await until(lambda: acceptor.is_ready)

                assert await acceptor.accept(event) is AcceptResult.DUPLICATE
                assert man.connections == connections

    asyncio.run(play())

    reasons = [getattr(record, "reason", "") for record in caplog.records if record.message == "store not ready"]
    assert reasons == ["no reply within 0.1 s"]


def test_an_idle_endpoint_whose_store_stalls_for_a_second_logs_no_error(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with open_endpoint(settings) as endpoint:
        store.client_pause(1200)  # longer than the heartbeat waits
        store.ping()

        assert endpoint.is_ready()

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
