"""Fixtures for every ring."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from surehook.shared import sources
from surehook.shared.embedded import socket_path, start_server, stop_server
from surehook.shared.settings import Settings
from surehook.shared.sources import PREFIX

# No test asserts a time: by default an example may take 200 ms, which a busy machine exceeds.
hypothesis_settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("busy machine")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Removes the settings of the machine that runs the tests: its variables and its `.env`."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sources, "ENV_FILE", tmp_path / "no.env")


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """Starts a Valkey for the session and returns its folder."""
    folder = Path(tempfile.mkdtemp(prefix="surehook-"))
    server = start_server(folder)
    yield folder
    stop_server(server)
    shutil.rmtree(folder)


@pytest.fixture
def store(data_dir: Path) -> Iterator[redis.Redis]:
    """A client of the session's Valkey, emptied."""
    with redis.Redis(unix_socket_path=str(socket_path(data_dir)), protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(data_dir: Path, store: redis.Redis) -> Settings:
    return Settings(data_dir=data_dir, api_keys=("a-key-for-tests-only",), metrics_bind="off", spool_dir="off")
