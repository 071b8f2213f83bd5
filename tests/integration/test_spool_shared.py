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
from tests.support.command import Surehook
from tests.support.endpoint import open_endpoint
from tests.support.spooling import databases, leave

OTHER_KEYS = Keys("other")


pytestmark = pytest.mark.usefixtures("looks_often", "adopts_often", "is_patient")


@pytest.fixture
def other(spooling: Settings) -> Settings:
    return spooling.model_copy(update={"key_prefix": OTHER_KEYS.prefix})


def database(spooling: Settings) -> Path:
    (path,) = databases(spooling.spool_dir)
    return path


def test_two_installations_on_one_folder_forward_only_their_own_events(
    spooling: Settings, other: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    (left,) = leave(other, store, [an_event()])
    with open_endpoint(spooling) as endpoint:
        own = endpoint.deliver().json()["eventId"]
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")
        wait_until(lambda: store.exists(Keys().event(own)), "its own is stored")
    assert not store.exists(Keys().event(left))
    assert [each.message for each in caplog.records].count("spool database of another") == 1

    with open_endpoint(other):
        wait_until(lambda: store.exists(OTHER_KEYS.event(left)), "its own Surehook forwards it")
        wait_until(lambda: len(databases(spooling.spool_dir)) == 1, "its database is deleted")
    assert databases(spooling.spool_dir) == []


def test_events_for_another_store_are_listed_and_forwarded_only_on_request(
    spooling: Settings, other: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    (left,) = leave(other, store, [an_event()])

    listed, flushed, ledger = surehook("spool", "list"), surehook("spool", "flush"), surehook("ledger")

    assert left not in listed[1]
    assert "1 events are for another store" in listed[1]
    assert f"/0 {OTHER_KEYS.prefix})" in listed[1]
    assert flushed == (0, "0 events are forwarded\n")
    assert "spooled                  0" in ledger[1]
    assert surehook("spool", "flush", "--any-store") == (0, "1 events are forwarded\n")
    assert store.exists(Keys().event(left))


def test_the_database_of_another_version_is_left_to_it(
    spooling: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    (left,) = leave(spooling, store, [an_event()])
    path = database(spooling)
    with sqlite3.connect(path) as newer:
        newer.execute("pragma user_version = 99")
    newer.close()

    with open_endpoint(spooling) as endpoint:
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")
    assert path.exists()

    with sqlite3.connect(path) as again:
        again.execute("pragma user_version = 2")
    again.close()
    with open_endpoint(spooling):
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
