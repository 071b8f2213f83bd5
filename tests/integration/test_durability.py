"""No event goes to a store that would lose it, such as one whose first append-only file is not complete yet."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from harness.events import an_event
from harness.processes import children_of
from harness.stack import API_KEY, wait_until
from surehook.shared.embedded import socket_path, start_server, stop_server
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.log_reasons import reasons
from tests.support.replicas import Fleet

KEYS = 50
KEY_MICROSECONDS = 2_000_000  # a rewrite lasts until the test ends it, as if the keys were millions
REASON = "still writing its first append-only file"


@dataclass
class SlowStore:
    """The test's own server, whose rewrites last until the test has observed them."""

    folder: Path

    def __post_init__(self) -> None:
        self._server = start_server(self.folder)

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(socket_path(self.folder)), protocol=2)

    def switch(self, *values: str) -> None:
        with self.client() as store:
            for value in values:
                store.config_set("appendonly", value)

    def rewrites(self) -> bool:
        with self.client() as store:
            found = store.info("persistence")
        return bool(found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"])

    def rewrite(self) -> None:
        with self.client() as store:
            store.bgrewriteaof()

    def end_rewrite(self) -> None:
        with self.client() as store:
            end_rewrite(store, self._server)

    def times_asked(self) -> int:
        """The number of durability checks by the endpoint."""
        with self.client() as store:
            return int(store.info("commandstats")["cmdstat_role"]["calls"])

    def kill_and_restart(self) -> None:
        self._server.kill()
        self._server.wait()
        self._server = start_server(self.folder)

    def stop(self) -> None:
        stop_server(self._server)


@pytest.fixture
def slow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowStore]:
    store = SlowStore(tmp_path_factory.mktemp("s"))
    with store.client() as client:
        make_slow(client, client)
    yield store
    store.stop()


def make_slow(primary: redis.Redis, server: redis.Redis) -> None:
    primary.mset({f"other:{number}": "x" for number in range(KEYS)})
    server.config_set("rdb-key-save-delay", KEY_MICROSECONDS)


def end_rewrite(store: redis.Redis, server: "subprocess.Popen[bytes]") -> None:
    """Kills the process that writes: a server whose first file it was begins again, and is quick then."""
    store.config_set("rdb-key-save-delay", 0)
    for child in children_of(server.pid):
        os.kill(child, signal.SIGKILL)


@pytest.fixture
def endpoint(slow_store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenEndpoint]:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)
    with open_endpoint(
        Settings(data_dir=slow_store.folder, api_keys=(API_KEY,), metrics_bind="off", spool_dir="off")
    ) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("name", "unsafe", "safe"),
    [("appendonly", "no", "yes"), ("no-appendfsync-on-rewrite", "yes", "no"), ("appendfsync", "everysec", "always")],
)
def test_a_setting_that_may_lose_events_is_named_and_nothing_is_taken_until_it_is_changed(
    endpoint: OpenEndpoint, slow_store: SlowStore, caplog: pytest.LogCaptureFixture, name: str, unsafe: str, safe: str
) -> None:
    with slow_store.client() as store:
        store.config_set(name, unsafe)
        wait_until(lambda: not endpoint.is_ready(), "/readyz is red")
        refused = endpoint.deliver()
        named = reasons(caplog)
        assert store.zcard("surehook:open") == 0
        store.config_set(name, safe)
    slow_store.end_rewrite()  # with "appendonly"
    wait_until(endpoint.is_ready, "it mends by itself")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert f"{name} is {unsafe}, must be {safe}" in named
    assert endpoint.deliver().status_code == 202


@pytest.mark.parametrize(
    "stays_off", [pytest.param(True, id="off for a while"), pytest.param(False, id="off and on between two checks")]
)
def test_nothing_is_acknowledged_before_a_restart_would_find_it(
    endpoint: OpenEndpoint, slow_store: SlowStore, caplog: pytest.LogCaptureFixture, *, stays_off: bool
) -> None:
    event = an_event()
    if stays_off:
        slow_store.switch("no")
        wait_until(lambda: not endpoint.is_ready(), "it is off")
        slow_store.switch("yes")
    else:
        slow_store.switch("no", "yes")
    wait_until(lambda: REASON in reasons(caplog), "it says why")

    while_rewriting = endpoint.deliver(event), slow_store.rewrites()
    slow_store.end_rewrite()
    wait_until(endpoint.is_ready, "the file is whole")
    assert not slow_store.rewrites()
    answer = endpoint.deliver(event)
    slow_store.kill_and_restart()

    assert (while_rewriting[0].status_code, while_rewriting[1]) == (503, True)
    assert answer.status_code == 202
    with slow_store.client() as store:
        assert store.exists(f"surehook:event:{event['id']}")


def test_an_aof_rewrite_does_not_make_the_endpoint_unready(endpoint: OpenEndpoint, slow_store: SlowStore) -> None:
    slow_store.rewrite()
    asked = slow_store.times_asked()

    wait_until(lambda: slow_store.times_asked() > asked + 2, "it is asked again and again")

    assert (endpoint.is_ready(), endpoint.deliver().status_code, slow_store.rewrites()) == (True, 202, True)


def test_without_waitaof_permission_no_events_are_accepted_during_an_aof_rewrite(
    endpoint: OpenEndpoint, slow_store: SlowStore, caplog: pytest.LogCaptureFixture
) -> None:
    with slow_store.client() as store:
        store.execute_command("ACL", "SETUSER", "default", "-waitaof")  # as on a server without this field
    asked = slow_store.times_asked()
    wait_until(lambda: slow_store.times_asked() > asked + 2, "it is asked again and again")
    assert endpoint.is_ready()

    slow_store.rewrite()
    wait_until(lambda: not endpoint.is_ready(), "it is not ready")
    assert slow_store.rewrites()
    assert REASON in reasons(caplog)
    slow_store.end_rewrite()
    wait_until(endpoint.is_ready, "it mends by itself")
    assert not slow_store.rewrites()


def test_a_replica_writing_its_initial_aof_is_not_counted_as_durable(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1, is_watched=False)
    url = f"redis://127.0.0.1:{fleet.ports[0]}/0"
    settings = Settings(redis_url=url, api_keys=(API_KEY,), durability="replicated", metrics_bind="off")
    try:
        with open_endpoint(settings) as endpoint, fleet.client(fleet.ports[1]) as replica:
            with fleet.client(fleet.ports[0]) as primary:
                make_slow(primary, replica)
            replica.config_set("appendonly", "no")
            wait_until(lambda: not endpoint.is_ready(), "it is off")
            replica.config_set("appendonly", "yes")
            wait_until(lambda: replica.info("persistence")["aof_rewrite_in_progress"], "it writes the file")
            # Said once: perhaps already while it was off.
            wait_until(lambda: "must have it on disk, and 0 reported it" in reasons(caplog), "it says why")
            while_rewriting = endpoint.deliver().status_code, replica.info("persistence")["aof_rewrite_in_progress"]
            end_rewrite(replica, fleet.servers[fleet.ports[1]])
            wait_until(endpoint.is_ready, "the file is whole")

            assert while_rewriting == (503, 1)
            assert replica.info("persistence")["aof_rewrite_in_progress"] == 0
            assert endpoint.deliver().status_code == 202
    finally:
        fleet.close()
