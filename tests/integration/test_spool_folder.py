"""Databases that dead processes leave in SPOOL_DIR: adopted if they are whole, set aside loudly if not."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from harness.events import an_event
from harness.stack import wait_until
from surehook.ingest.spool.spool import check_spool
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import FAILED
from surehook.shared.settings import Settings
from tests.support.command import Surehook
from tests.support.endpoint import open_endpoint
from tests.support.ledger import is_balanced
from tests.support.spooling import databases, leave
from tests.support.store_faults import not_durable

pytestmark = pytest.mark.usefixtures("looks_often", "adopts_often", "is_patient")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


def replace_by_text(path: Path) -> None:
    path.write_text("the notes of another program\n" * 1000)


def replace_by_another_program(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("create table todos (id text)")
    database.close()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut off": truncate,
    "overwritten": scribble,
    "text": replace_by_text,
    "another program's": replace_by_another_program,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_database_is_set_aside_and_stops_nothing(
    spooling: Settings, store: redis.Redis, surehook: Surehook, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    leave(spooling, store, [an_event() for _ in range(3)])
    (damaged,) = databases(spooling.spool_dir)
    DAMAGES[damage](damaged)
    left = leave(spooling, store, [an_event() for _ in range(3)]) if damage == "cut off" else []
    with open_endpoint(spooling) as endpoint:
        assert endpoint.deliver().status_code == 202
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")
        wait_until(lambda: all(store.exists(f"surehook:event:{each}") for each in left), "the others are forwarded")

    aside = [path.name for path in Path(spooling.spool_dir).iterdir()]
    assert f"{damaged.name}.set-aside" in aside
    assert [each.message for each in caplog.records].count("spool database set aside") == 1
    assert f"{damaged}.set-aside" in surehook("spool", "list")[1]


def test_two_processes_do_not_adopt_the_same_events_and_a_living_one_keeps_its_own(
    spooling: Settings, store: redis.Redis
) -> None:
    left = leave(spooling, store, [an_event() for _ in range(3)])
    with open_endpoint(spooling) as one, open_endpoint(spooling) as other:
        wait_until(lambda: store.zcard("surehook:open") == len(left), "they are forwarded once")
        wait_until(lambda: len(databases(spooling.spool_dir)) == 2, "their database is deleted")
        assert (one.deliver().status_code, other.deliver().status_code) == (202, 202)
        assert len(databases(spooling.spool_dir)) == 2

    assert databases(spooling.spool_dir) == []
    assert is_balanced(store)


def test_a_process_adopts_what_another_leaves_later(spooling: Settings, store: redis.Redis) -> None:
    with open_endpoint(spooling) as endpoint:
        left = leave(spooling, store, [an_event() for _ in range(3)])
        wait_until(lambda: store.zcard("surehook:open") == len(left), "the living process has forwarded them")
        wait_until(lambda: len(databases(spooling.spool_dir)) == 1, "and has deleted the database")
        assert endpoint.deliver().status_code == 202


def test_the_same_event_in_two_spools_is_stored_once(spooling: Settings, store: redis.Redis) -> None:
    event = an_event()
    with not_durable(store):
        for _ in range(2):
            with open_endpoint(spooling, is_awaited=False) as endpoint:
                assert endpoint.deliver(event).status_code in {200, 202}
    with open_endpoint(spooling):
        wait_until(lambda: store.zcard("surehook:open") == 1, "it is forwarded")
        wait_until(lambda: len(databases(spooling.spool_dir)) == 1, "nothing is left")

    assert store.llen("rq:queue:events") == 1
    assert is_balanced(store)


def test_the_commands_show_what_waits_and_forward_it(
    spooling: Settings, store: redis.Redis, surehook: Surehook
) -> None:
    left = leave(spooling, store, [an_event() for _ in range(3)])

    listed, as_json, ledger = surehook("spool", "list"), surehook("spool", "list", "--json"), surehook("ledger")
    with not_durable(store):
        status, error = surehook("spool", "flush")
    flushed, again = surehook("spool", "flush"), surehook("spool", "list")

    assert all(each in listed[1] and each in as_json[1] for each in left)
    assert "3 events" in listed[1]
    assert "3 of them were left by dead processes" in listed[1]
    assert "spooled                  3" in ledger[1]
    assert (status, "appendfsync is everysec" in error) == (FAILED, True)
    assert flushed == (0, "3 events are forwarded\n")
    assert "Nothing waits" in again[1]
    assert store.zcard("surehook:open") == 3


def test_a_refused_event_is_offered_again_after_its_cause_is_gone(
    spooling: Settings, store: redis.Redis, surehook: Surehook, caplog: pytest.LogCaptureFixture
) -> None:
    (event_id,) = leave(spooling, store, [an_event()])
    store.set(f"surehook:event:{event_id}", "of another kind")
    with open_endpoint(spooling) as endpoint:
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is set aside")
        assert "refused: WRONGTYPE" in surehook("spool", "list")[1]
        store.delete(f"surehook:event:{event_id}")
        surehook("spool", "flush")

        wait_until(lambda: store.zcard("surehook:open") == 1, "it is forwarded")
    aside = [each for each in caplog.records if each.message == "spooled event set aside"]
    assert len(aside) == 1


def test_a_folder_that_cannot_be_used_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"SUREHOOK_SPOOL_DIR=.*file/spool: it is not a folder"):
        check_spool(settings.model_copy(update={"spool_dir": str(tmp_path / "file" / "spool")}))
