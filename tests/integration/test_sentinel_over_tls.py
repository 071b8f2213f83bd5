"""`rediss+sentinel://`: TLS to the Sentinel and to the server it names, by every client of ours."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from harness.certificates import server_context
from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.embedded import socket_path
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from tests.integration.test_session import an_envelope, running, until
from tests.support.replicas import lone_sentinel
from tests.support.tcp_proxy import tcp_proxy


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    with lone_sentinel(tmp_path) as path:
        yield path


def ping(url: str) -> bool:
    with connect(Settings(redis_url=url), timeout_seconds=2) as store:
        return bool(store.ping())


def test_tls_to_sentinel_and_store_requires_trusted_certificates(
    sentinel: Path, data_dir: Path, store: redis.Redis, tmp_path: Path
) -> None:
    context, trusted = server_context(tmp_path)

    async def play() -> None:
        async with tcp_proxy(sentinel, context) as guide, tcp_proxy(socket_path(data_dir), context) as man:
            with redis.Redis(unix_socket_path=str(sentinel)) as client:
                # It speaks no TLS here and so never reaches the server, but it still names its address.
                client.execute_command("SENTINEL", "MONITOR", "mine", "127.0.0.1", man.port, 1)
            url = f"rediss+sentinel://127.0.0.1:{guide.port}/mine"
            async with running(Settings(redis_url=f"{url}?ssl_ca_certs={trusted}")) as acceptor:
                await until(lambda: acceptor.is_ready)  # on a busy machine not at the first try
                assert await acceptor.accept(an_envelope()) is AcceptResult.STORED
            assert await asyncio.to_thread(ping, f"{url}?ssl_ca_certs={trusted}")
            async with running(Settings(redis_url=url)) as acceptor:
                assert not acceptor.is_ready
            plain = url.replace("rediss", "redis")
            async with running(Settings(redis_url=plain)) as acceptor:
                assert not acceptor.is_ready

    asyncio.run(play())

    assert store.zcard("surehook:open") == 1
