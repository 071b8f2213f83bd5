"""The endpoint's connection to the store: by TCP and TLS, with a login and a database."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from harness.certificates import server_context
from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.embedded import socket_path
from surehook.shared.settings import Settings
from tests.integration.test_session import an_envelope, running, until
from tests.support.accounts import create_account
from tests.support.log_reasons import reasons
from tests.support.tcp_proxy import tcp_proxy

USER = "surehook-ingest"
PASSWORD = "100% odd: @/ and a space"


@pytest.fixture
def user(store: redis.Redis) -> Iterator[str]:
    """The account that the docs give to the endpoint."""
    create_account(store, USER, PASSWORD)
    yield USER
    store.execute_command("ACL", "DELUSER", USER)  # type: ignore[no-untyped-call]


def test_the_endpoint_connects_over_tcp_with_a_login_and_a_database(
    user: str, data_dir: Path, store: redis.Redis
) -> None:
    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir)) as man:
            url = f"redis://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{man.port}/3"
            async with running(Settings(redis_url=url)) as acceptor:
                await until(lambda: acceptor.is_ready)  # on a busy machine not at the first try
                assert await acceptor.accept(an_envelope()) is AcceptResult.STORED

    asyncio.run(play())

    assert store.keys() == []
    with redis.Redis(unix_socket_path=str(socket_path(data_dir)), db=3, protocol=2) as third:
        assert third.zcard("surehook:open") == 1


def test_a_store_account_without_waitaof_permission_is_told_what_to_allow(
    user: str, data_dir: Path, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    create_account(store, user, PASSWORD, "-waitaof", "-info")
    advice = "allow the account in SUREHOOK_REDIS_URL SET, DEL and WAITAOF"

    async def play() -> None:
        url = f"unix://{user}:{quote(PASSWORD, safe='')}@{socket_path(data_dir)}"
        async with running(Settings(redis_url=url)) as acceptor:
            await until(lambda: advice in reasons(caplog))
            assert not acceptor.is_ready

    asyncio.run(play())


def test_the_endpoint_connects_over_tls_only_to_a_trusted_server(
    data_dir: Path, store: redis.Redis, tmp_path: Path
) -> None:
    context, trusted = server_context(tmp_path)

    async def play() -> None:
        async with tcp_proxy(socket_path(data_dir), context) as man:
            url = f"rediss://127.0.0.1:{man.port}/0"
            async with running(Settings(redis_url=f"{url}?ssl_ca_certs={trusted}")) as acceptor:
                await until(lambda: acceptor.is_ready)
                assert await acceptor.accept(an_envelope()) is AcceptResult.STORED
            async with running(Settings(redis_url=url)) as acceptor:
                assert not acceptor.is_ready

    asyncio.run(play())


def test_a_rejected_store_login_is_a_readable_error_without_the_password(
    data_dir: Path, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with running(Settings(redis_url=f"unix://who:hunter2@{socket_path(data_dir)}")) as acceptor:
            await until(lambda: re.search(r"refuses the login.*\(WRONGPASS\)", reasons(caplog)) is not None)
            assert not acceptor.is_ready

    asyncio.run(play())

    assert "hunter2" not in str([record.__dict__ for record in caplog.records])
