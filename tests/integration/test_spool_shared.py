"""A folder of spools that two installations share, and a spool of another version: none takes what is not its own."""

import sqlite3
from pathlib import Path

import pytest
import redis

from harness.events import an_event
from harness.stack import wait_until
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store_address import parse_store_address
from tests.support.command import Surehook, command_on
from tests.support.endpoint import open_endpoint
from tests.support.store_faults import not_durable

OTHER_KEYS = Keys("other")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that other tests keep busy must not make an event be refused here."""
    monkeypatch.setattr("surehook.ingest.spool.spool.ANSWER_WITHIN_SECONDS", 20.0)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("surehook.ingest.spool.forwarder.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("surehook.ingest.spool.forwarder.REPORT_SECONDS", 0.05)
    monkeypatch.setattr("surehook.ingest.spool.forwarder.ADOPT_SECONDS", 0.05)


@pytest.fixture
def one(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"spool_dir": str(tmp_path / "spool")})


@pytest.fixture
def other(one: Settings) -> Settings:
    return one.model_copy(update={"key_prefix": OTHER_KEYS.prefix})


@pytest.fixture
def surehook(one: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    monkeypatch.setenv("SUREHOOK_SPOOL_DIR", one.spool_dir)
    return command_on(one, monkeypatch)


def leave(spooling: Settings, store: redis.Redis) -> str:
    event = an_event()
    with not_durable(store), open_endpoint(spooling, is_awaited=False) as endpoint:
        assert endpoint.deliver(event).status_code == 202
    return str(event["id"])


def database(spooling: Settings) -> Path:
    (path,) = Path(spooling.spool_dir).glob("*.sqlite3")
    return path


def test_two_installations_on_one_folder_forward_only_their_own_events(
    one: Settings, other: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    left = leave(other, store)
    with open_endpoint(one) as endpoint:
        own = endpoint.deliver().json()["eventId"]
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")
        wait_until(lambda: store.exists(Keys().event(own)), "its own is stored")
    assert not store.exists(Keys().event(left))
    assert [each.message for each in caplog.records].count("spool database of another") == 1

    with open_endpoint(other):
        wait_until(lambda: store.exists(OTHER_KEYS.event(left)), "its own Surehook forwards it")
    assert list(Path(one.spool_dir).glob("*.sqlite3")) == []


def test_events_for_another_store_are_listed_and_forwarded_only_on_request(
    one: Settings, other: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    left = leave(other, store)

    listed, flushed, ledger = surehook("spool", "list"), surehook("spool", "flush"), surehook("ledger")

    assert left not in listed[1]
    assert "1 events are for another store" in listed[1]
    assert f"/0 {OTHER_KEYS.prefix})" in listed[1]
    assert flushed == (0, "0 events are forwarded\n")
    assert "spooled                  0" in ledger[1]
    assert surehook("spool", "flush", "--any-store") == (0, "1 events are forwarded\n")
    assert store.exists(Keys().event(left))


def test_the_database_of_another_version_is_left_to_it(one: Settings, store: redis.Redis, surehook: Surehook) -> None:
    left = leave(one, store)
    path = database(one)
    with sqlite3.connect(path) as newer:
        newer.execute("pragma user_version = 99")
    newer.close()

    with open_endpoint(one) as endpoint:
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")
    assert path.exists()

    with sqlite3.connect(path) as again:
        again.execute("pragma user_version = 2")
    again.close()
    with open_endpoint(one):
        wait_until(lambda: store.exists(Keys().event(left)), "its version forwards it")


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("redis://localhost", "127.0.0.1:6379/0"),
        ("rediss://name:secret@127.0.0.1:6379/0", "127.0.0.1:6379/0"),
        ("redis://A.example/3", "a.example:6379/3"),
        ("redis+sentinel://b,a:1/main", "a:1,b:26379/main/0"),
        ("redis+sentinel://a:1,b/main", "a:1,b:26379/main/0"),
        ("unix:///run/store.sock?db=2", "/run/store.sock/2"),
    ],
)
def test_a_store_has_one_name_however_its_address_is_written(written: str, identity: str) -> None:
    assert parse_store_address(written).identity == identity
