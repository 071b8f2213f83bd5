"""Several Sentinels: the endpoint gets past one that hangs, and does not follow one that is out of date."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import redis

from surehook.ingest.store.accept_script import AcceptResult
from surehook.ingest.store.acceptor import Acceptor
from surehook.ingest.store.connection import CLIENT_NAME
from surehook.shared import store_connections
from surehook.shared.embedded import socket_path
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.connection import Connection
from tests.integration.test_session import an_envelope, running, settled, until
from tests.support.replicas import SERVICE, lone_sentinel
from tests.support.tcp_proxy import TcpProxy, tcp_proxy


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    with lone_sentinel(tmp_path) as path:
        yield path


@asynccontextmanager
async def two_ways(sentinel: Path, data_dir: Path) -> AsyncIterator[tuple[TcpProxy, TcpProxy, TcpProxy]]:
    """Two Sentinels, each of which can fall silent, and the store that they name."""
    async with tcp_proxy(sentinel) as one, tcp_proxy(sentinel) as other, tcp_proxy(socket_path(data_dir)) as man:
        watch(sentinel, man.port)
        yield one, other, man


def watch(sentinel: Path, port: int) -> None:
    with redis.Redis(unix_socket_path=str(sentinel)) as client:
        client.execute_command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", port, 1)


def by_way_of(*guides: TcpProxy) -> Settings:
    addresses = ",".join(f"127.0.0.1:{guide.port}" for guide in guides)
    return Settings(redis_url=f"redis+sentinel://{addresses}/{SERVICE}")


def port_of(connection: Connection) -> int:
    """The port of the server that answers; 0 if the connection has ended."""
    try:
        connection.send([("PING",)])
        assert connection.read() == b"PONG"
        return int(connection._connection.port)  # noqa: SLF001
    except redis.ConnectionError:
        connection.close()
        return 0


def test_a_worker_leaves_an_old_primary_that_still_answers(
    sentinel: Path, data_dir: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_connections, "ASK_SENTINEL_EVERY_SECONDS", 0.05)

    async def play() -> None:
        async with two_ways(sentinel, data_dir) as (guide, _, old), tcp_proxy(socket_path(data_dir)) as new:
            with connect(by_way_of(guide), timeout_seconds=4) as client:
                connection = Connection(client)
                assert await asyncio.to_thread(port_of, connection) == old.port
                with redis.Redis(unix_socket_path=str(sentinel)) as sentinels:
                    sentinels.execute_command("SENTINEL", "REMOVE", SERVICE)
                watch(sentinel, new.port)

                async with asyncio.timeout(10):
                    while await asyncio.to_thread(port_of, connection) != new.port:  # noqa: ASYNC110 - a thread asks
                        await asyncio.sleep(0.02)

                guide.passes_replies = False
                enough = guide.commands + 5
                while guide.commands < enough:  # Sentinels that are asked and hang delay nothing and change nothing
                    async with asyncio.timeout(2):
                        assert await asyncio.to_thread(port_of, connection) == new.port
                connection.close()

    asyncio.run(play())


@pytest.mark.parametrize("silent", [0, 1], ids=["listed first", "listed second"])
def test_a_sentinel_that_hangs_does_not_keep_us_from_the_store(
    sentinel: Path, data_dir: Path, store: redis.Redis, silent: int
) -> None:
    async def play() -> None:
        async with two_ways(sentinel, data_dir) as (one, other, _):
            (one, other)[silent].passes_replies = False
            async with running(by_way_of(one, other)) as acceptor:
                await until(lambda: acceptor.is_ready)
                assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    asyncio.run(play())


def test_sentinels_that_fall_silent_later_change_nothing(
    sentinel: Path, data_dir: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)

    async def play() -> None:
        async with two_ways(sentinel, data_dir) as (one, other, _), running(by_way_of(one, other)) as acceptor:
            await until(lambda: acceptor.is_ready)
            connected = endpoint_connections(store)
            one.passes_replies = other.passes_replies = False
            for _ in range(2):
                await being_asked(other)
                assert await acceptor.accept(an_envelope()) is AcceptResult.STORED
            assert endpoint_connections(store) == connected

    asyncio.run(play())


def test_a_store_that_is_lost_while_a_sentinel_is_asked_is_found_again(
    sentinel: Path, data_dir: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)

    async def play() -> None:
        async with two_ways(sentinel, data_dir) as (one, other, man), running(by_way_of(one, other)) as acceptor:
            await until(lambda: acceptor.is_ready)
            one.passes_replies = other.passes_replies = False
            await being_asked(one)
            man.close()
            await until(lambda: not acceptor.is_ready)
            one.passes_replies = True

            await until(lambda: acceptor.is_ready)
            assert await settled(acceptor.accept(an_envelope())) == [AcceptResult.STORED]

    asyncio.run(play())


def test_the_sentinel_that_knows_of_the_latest_failover_is_believed(
    data_dir: Path, store: redis.Redis, tmp_path: Path
) -> None:
    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir)) as old, tcp_proxy(socket_path(data_dir)) as new:
            with (
                sentinel_of(tmp_path / "old", old, epoch=1) as behind,
                sentinel_of(tmp_path / "new", new, epoch=2) as ahead,
            ):
                async with (
                    tcp_proxy(behind) as one,
                    tcp_proxy(ahead) as other,
                    running(by_way_of(one, other)) as acceptor,
                ):
                    await until(lambda: reaches(acceptor, new))  # at first, one may reply too late
                    new.passes_replies = False
                    assert await settled(acceptor.accept(an_envelope())) == [StoreUnavailable]

    asyncio.run(play())


def reaches(acceptor: Acceptor, man: TcpProxy) -> bool:
    connection = acceptor.session.connection
    return connection is not None and connection.address == ("127.0.0.1", man.port)


@contextmanager
def sentinel_of(folder: Path, man: TcpProxy, *, epoch: int) -> Iterator[Path]:
    folder.mkdir()
    watched = f"sentinel monitor {SERVICE} 127.0.0.1 {man.port} 1", f"sentinel config-epoch {SERVICE} {epoch}"
    with lone_sentinel(folder, *watched) as path:
        yield path


def endpoint_connections(store: redis.Redis) -> list[str]:
    return [client["id"] for client in store.client_list() if client["name"] == CLIENT_NAME]


async def being_asked(guide: TcpProxy) -> None:
    asked = guide.commands
    await until(lambda: guide.commands > asked)
