"""`rediss://` and its options: a private authority, a client's certificate, and how much is verified."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import redis

from harness.certificates import server_context, write_certificate
from surehook.shared.embedded import socket_path
from surehook.shared.settings import Settings
from surehook.shared.store import close_async, connect, connect_async
from tests.integration.test_session import running
from tests.support.tcp_proxy import tcp_proxy


def ping(settings: Settings) -> bool:
    try:
        with connect(settings, timeout_seconds=2) as store:
            return bool(store.ping())
    except redis.ConnectionError:
        return False


async def pinged(settings: Settings) -> bool:
    store = connect_async(settings, timeout_seconds=2)
    try:
        return bool(await store.ping())
    except redis.ConnectionError:
        return False
    finally:
        await close_async(store)


async def accepts(settings: Settings) -> bool:
    async with running(settings) as acceptor:
        return acceptor.is_ready


async def eventually(reached: Callable[[], Awaitable[bool]]) -> bool:
    """Tries for a while: on a busy machine a connection may take too long."""
    async with asyncio.timeout(20):
        while not await reached():  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0.01)
    return True


def test_every_client_of_the_store_follows_the_tls_options(data_dir: Path, store: redis.Redis, tmp_path: Path) -> None:
    context, trusted = server_context(tmp_path)
    certificate, key = write_certificate(tmp_path, "client")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    ours, authority = f"ssl_certfile={certificate}&ssl_keyfile={key}", f"ssl_ca_certs={trusted}"

    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir), context) as proxy:

            def at(host: str, *options: str) -> Settings:
                return Settings.model_validate({"redis_url": f"rediss://{host}:{proxy.port}/0?{'&'.join(options)}"})

            mutual = at("127.0.0.1", authority, ours)
            assert await eventually(lambda: asyncio.to_thread(ping, mutual))
            assert await eventually(lambda: pinged(mutual))
            assert await eventually(lambda: accepts(mutual))
            assert await eventually(lambda: pinged(at("localhost", authority, ours, "ssl_check_hostname=false")))
            assert await eventually(lambda: pinged(at("localhost", ours, "ssl_cert_reqs=none")))
            for refused in (at("127.0.0.1", authority), at("127.0.0.1", ours), at("localhost", authority, ours)):
                assert not await pinged(refused)

    asyncio.run(play())
