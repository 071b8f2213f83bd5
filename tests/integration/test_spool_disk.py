"""A disk of the spool that takes no writes when the endpoint starts: the store is well, so events are taken."""

import errno
import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from harness.stack import wait_until
from surehook.admin.spool import flush
from surehook.ingest.spool.databases import Databases
from surehook.ingest.spool.schema import Received
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import Misconfigured, SpoolFull
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.full_disk import full_disk, room_on_the_disk
from tests.support.ledger import ledger
from tests.support.store_faults import not_durable

pytestmark = pytest.mark.usefixtures("looks_often", "adopts_often", "is_patient")


@pytest.fixture(autouse=True)
def _tries_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.spool.spool.FAILING_SECONDS", 0.05)


def spooled(endpoint: OpenEndpoint) -> bool:
    return endpoint.metric("surehook_spooled_events") > 0


def not_writable(endpoint: OpenEndpoint) -> bool:
    return endpoint.metric("surehook_spool_not_writable") == 1


def test_an_endpoint_starts_with_a_full_disk_and_spools_once_there_is_room(
    spooling: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "surehook")
    with full_disk(), ExitStack() as room, open_endpoint(spooling) as endpoint:
        wait_until(lambda: not_writable(endpoint), "the gauge says so")
        direct = [endpoint.deliver().status_code for _ in range(3)]
        with not_durable(store):
            wait_until(lambda: not endpoint.is_ready(), "neither takes events")
            refused = endpoint.deliver().status_code
            room.enter_context(room_on_the_disk())
            wait_until(lambda: not not_writable(endpoint), "the disk takes writes")
            wait_until(endpoint.is_ready, "the spool takes events")
            answers = [endpoint.deliver().status_code for _ in range(3)]
            wait_until(lambda: spooled(endpoint), "the gauge shows them")
        wait_until(lambda: not spooled(endpoint), "the spool is empty")
    assert ledger(store)["accepted"] == 6, "all that were answered 202 are in the store"

    assert (direct, refused, answers) == ([202] * 3, 503, [202] * 3)
    messages = [each.message for each in caplog.records]
    assert messages.count("spool not writable") == 1
    assert messages.count("spool writable again") == 1
    assert list(Path(spooling.spool_dir).iterdir()) == []


def test_a_disk_that_becomes_full_while_events_wait_is_noticed_and_its_room_too(
    spooling: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "surehook")
    with open_endpoint(spooling) as endpoint:
        with not_durable(store):
            wait_until(lambda: endpoint.deliver().status_code == 202 and spooled(endpoint), "events are spooled")
            with full_disk():
                assert endpoint.deliver().status_code == 503
                wait_until(lambda: not_writable(endpoint), "the gauge says so")
                assert not endpoint.is_ready()
            wait_until(lambda: not not_writable(endpoint), "the room is noticed without an event")
            wait_until(endpoint.is_ready, "the spool takes events")
            assert endpoint.deliver().status_code == 202
        wait_until(lambda: not spooled(endpoint), "all are forwarded")

    messages = [each.message for each in caplog.records]
    assert [messages.count(f"spool {said}") for said in ("not writable", "writable again", "full")] == [1, 1, 0]


@pytest.mark.parametrize("flags", [0, os.ST_RDONLY], ids=["full", "read-only"])
def test_a_disk_that_takes_no_writes_is_noticed_before_an_event_needs_it(
    spooling: Settings, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, flags: int
) -> None:
    del store
    real, access = os.statvfs, os.access

    def looks_odd(path: Any) -> os.statvfs_result:
        found = list(real(path))
        found[4] = 0 if not flags else found[4]  # f_bavail
        found[8] |= flags  # f_flag
        return os.statvfs_result(found)

    with open_endpoint(spooling) as endpoint:
        with monkeypatch.context() as patched:
            patched.setattr(os, "statvfs", looks_odd)
            patched.setattr(os, "access", lambda path, mode: access(path, mode) and not flags)
            wait_until(lambda: not_writable(endpoint), "the gauge says so")
            assert endpoint.deliver().status_code == 202
        wait_until(lambda: not not_writable(endpoint), "the disk takes writes again")


def test_a_database_that_is_made_for_a_removed_one_ends_the_problem(spooling: Settings) -> None:
    databases = Databases(spooling)
    databases.open()
    own = next(Path(spooling.spool_dir).glob("*.sqlite3"))
    with full_disk():
        own.unlink()
        with pytest.raises((OSError, sqlite3.Error)):
            databases.adopt()
        assert databases.problem
    databases.rescue()

    assert databases.problem == ""
    databases.close()


def test_a_database_that_is_damaged_while_the_disk_is_full_is_replaced_when_there_is_room(spooling: Settings) -> None:
    databases = Databases(spooling)
    databases.open()
    folder = Path(spooling.spool_dir)
    (own,) = folder.glob("*.sqlite3")
    with full_disk():
        envelope = parse_envelope(a_body(an_event()))
        with pytest.raises((OSError, sqlite3.Error)):
            databases.append([Received(envelope, 1)])
        assert databases.problem
    with closing(sqlite3.connect(own, isolation_level=None)) as another:  # then pages are read from the file again
        another.execute("pragma user_version = 2")
        another.execute("pragma wal_checkpoint(truncate)")
    own.write_bytes(b"x" * 65_536)

    databases.adopt()

    assert databases.problem == ""
    assert databases.append([Received(envelope, 1)]) == [None]
    assert len(list(folder.glob("*.set-aside"))) == 1
    databases.close()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_database_that_cannot_be_made_leaves_no_file(
    spooling: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.open

    def fails(path: Any, flags: int, *mode: Any, **more: Any) -> int:
        if str(path).endswith(".sqlite3"):
            raise OSError(number, os.strerror(number))
        return real(path, flags, *mode, **more)

    databases = Databases(spooling)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fails)
        databases.open()
        problem, left = databases.problem, list(Path(spooling.spool_dir).iterdir())
    databases.adopt()

    assert os.strerror(number) in problem
    assert left == []
    assert databases.problem == ""
    databases.close()


def test_a_flush_on_a_full_disk_says_so(spooling: Settings) -> None:
    Path(spooling.spool_dir).mkdir()

    with full_disk(), pytest.raises(SpoolFull, match="free some room"):
        flush(spooling)


def test_a_folder_that_the_user_may_not_write_to_is_a_mistake(
    spooling: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", fails)

    with pytest.raises(Misconfigured, match="Choose a folder"):
        Databases(spooling).open()
