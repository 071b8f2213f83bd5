"""SPOOL_DIR and its files are removed, emptied or unusable while ingest runs: no answered event is lost."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from harness.events import an_event
from harness.stack import wait_until
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.ledger import is_balanced
from tests.support.spooling import databases
from tests.support.store_faults import not_durable

pytestmark = pytest.mark.usefixtures("looks_often", "is_patient")


@pytest.fixture(autouse=True)
def _tries_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.spool.spool.FAILING_SECONDS", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def endpoint(spooling: Settings) -> Iterator[OpenEndpoint]:
    with open_endpoint(spooling) as endpoint:
        yield endpoint


def remove(folder: Path) -> None:
    """Removes a folder at once: the endpoint, which looks at any time, could make a file in a half removed one."""
    shutil.rmtree(folder.rename(folder.with_name("removed")))


def start_spooling(endpoint: OpenEndpoint) -> None:
    def is_spooling() -> bool:
        endpoint.deliver()
        return endpoint.metric("surehook_spooled_events") > 0

    wait_until(is_spooling, "events are spooled")


@pytest.mark.parametrize("is_waiting", [False, True], ids=["nothing waits", "events wait"])
def test_events_are_answered_only_from_a_file_that_stays(
    spooling: Settings, folder: Path, store: redis.Redis, caplog: pytest.LogCaptureFixture, *, is_waiting: bool
) -> None:
    events = [an_event() for _ in range(4)]
    with not_durable(store), open_endpoint(spooling, is_awaited=False) as endpoint:
        for event in events[: 2 * is_waiting]:
            assert endpoint.deliver(event).status_code == 202
        remove(folder)
        for event in events[2 * is_waiting :]:
            assert endpoint.deliver(event).status_code == 202
        kept = folder.with_name("what a crash leaves")
        shutil.copytree(folder, kept)  # the locks of a dead process are free

    assert [each.message for each in caplog.records].count("spool database removed") == 1
    with open_endpoint(spooling.model_copy(update={"spool_dir": str(kept)})):
        wait_until(lambda: store.zcard("surehook:open") == len(events), "all are forwarded")


def test_what_waits_is_saved_although_no_further_event_comes(
    endpoint: OpenEndpoint, folder: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.spool.forwarder.ADOPT_SECONDS", 0.05)
    with not_durable(store):
        start_spooling(endpoint)
        (path,) = databases(folder)
        path.unlink()
        wait_until(lambda: any(each != path for each in databases(folder)), "it is copied")
    wait_until(lambda: endpoint.metric("surehook_spooled_events") == 0, "all are forwarded")
    assert is_balanced(store)


def test_without_a_folder_events_are_refused_until_there_can_be_one_again(
    endpoint: OpenEndpoint, folder: Path, store: redis.Redis
) -> None:
    with not_durable(store):
        start_spooling(endpoint)
        remove(folder)
        folder.write_text("in the way")
        event = an_event()
        assert endpoint.deliver(event).status_code == 503
        folder.unlink()
        wait_until(lambda: endpoint.deliver(event).status_code in {200, 202}, "it is taken again")
    wait_until(lambda: endpoint.metric("surehook_spooled_events") == 0, "all are forwarded")
    assert store.exists(f"surehook:event:{event['id']}")


def test_an_emptied_database_is_set_aside_with_its_log(
    spooling: Settings, folder: Path, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    kept = folder.with_name("what a crash leaves")
    with not_durable(store), open_endpoint(spooling, is_awaited=False) as endpoint:
        assert endpoint.deliver().status_code == 202
        shutil.copytree(folder, kept)
    (path,) = databases(kept)
    os.truncate(path, 0)
    log = Path(f"{path}-wal").read_bytes()

    with open_endpoint(spooling.model_copy(update={"spool_dir": str(kept)})) as endpoint:
        wait_until(lambda: endpoint.metric("surehook_spool_set_aside") == 1, "it is reported")

    assert Path(f"{path}.set-aside-wal").read_bytes() == log
    assert [each.message for each in caplog.records].count("spool database set aside") == 1


def test_a_full_spool_is_logged_once_and_not_for_each_event(
    spooling: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        not_durable(store),
        open_endpoint(spooling.model_copy(update={"spool_max_bytes": 1024}), is_awaited=False) as endpoint,
    ):
        assert [endpoint.deliver().status_code for _ in range(20)] == [503] * 20

    messages = [each.message for each in caplog.records]
    assert messages.count("spooling started") <= 2  # its reason changes once: "not checked yet"
    assert messages.count("spooling ended") <= 2
