"""Fixtures for tests of the spool: settings with one, commands on it, and a forwarder that looks often."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis

from surehook.shared.settings import Settings
from tests.support.command import Surehook, command_on
from tests.support.endpoint import open_endpoint
from tests.support.store_faults import not_durable

OFTEN_SECONDS = 0.05


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "store.session.CHECK_EVERY_SECONDS",
        "spool.forwarder.RETRY_SECONDS",
        "spool.forwarder.REPORT_SECONDS",
    ):
        monkeypatch.setattr(f"surehook.ingest.{name}", OFTEN_SECONDS)


@pytest.fixture
def adopts_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.spool.forwarder.ADOPT_SECONDS", OFTEN_SECONDS)


@pytest.fixture
def is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that other tests keep busy makes no event be refused."""
    monkeypatch.setattr("surehook.ingest.spool.spool.ANSWER_WITHIN_SECONDS", 20.0)


@pytest.fixture
def spooling(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a spool."""
    return settings.model_copy(update={"spool_dir": str(tmp_path / "spool")})


@pytest.fixture
def surehook(spooling: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    """A command of an operator on the machine of the spool."""
    monkeypatch.setenv("SUREHOOK_SPOOL_DIR", spooling.spool_dir)
    return command_on(spooling, monkeypatch)


def databases(folder: Path | str) -> list[Path]:
    return list(Path(folder).glob("*.sqlite3"))


def leave(spooling: Settings, store: redis.Redis, events: Iterable[dict[str, Any]]) -> list[str]:
    """Leaves events as a process does that ends while the store is away; returns their ids."""
    events = list(events)
    with not_durable(store), open_endpoint(spooling, is_awaited=False) as endpoint:
        assert [endpoint.deliver(event).status_code for event in events] == [202] * len(events)
    return [event["id"] for event in events]
