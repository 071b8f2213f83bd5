"""`surehook handlers list` shows what workers announce and count."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from surehook import Event, on
from surehook.main import cli
from surehook.shared.minutes import KEPT_SECONDS, MinuteCounts
from surehook.shared.settings import Settings
from surehook.workers.handlers import registry
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.minutes import MinuteWriter
from tests.integration.conftest import KEYS

List = Callable[..., str]


@pytest.fixture
def listed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> List:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def listed(*options: str) -> str:
        shown = CliRunner().invoke(cli, ["handlers", "list", *options], catch_exceptions=False)
        assert shown.exit_code == 0
        return shown.output

    return listed


@pytest.fixture
def minutes() -> MinuteCounts:
    return MinuteCounts()


@pytest.fixture
def writer(store: redis.Redis, minutes: MinuteCounts) -> Callable[[], MinuteWriter]:
    return lambda: MinuteWriter(store, KEYS, Registry(registry.declared), minutes, handler_timeout=30)


def test_each_handler_is_listed_with_its_options_and_its_last_hour(
    listed: List, minutes: MinuteCounts, writer: Callable[[], MinuteWriter], store: redis.Redis
) -> None:
    @on("user.update", ordered_by="user", changed=["email"], retries=3, timeout=5, queue="mirror", name="mirror")
    def mirror(event: Event) -> None: ...

    @on("user.*", "group.create", "group.update", concurrency=3, rate="100/m", name="idle")
    def idle(event: Event) -> None: ...

    for outcome, seconds in [("done", 0.01)] * 18 + [("failed", 2.0), ("dead letter", 2.0)]:
        minutes.add("mirror", outcome, seconds)
    minutes.add_unhandled("jwt.refresh")
    writer().tick()

    rows = [json.loads(line) for line in listed("--json").splitlines()]
    assert rows[0] | {"types": ["user.*", "group.create", "group.update"], "runs": 0, "p50_seconds": None} == rows[0]
    assert {
        "name": "mirror",
        "types": ["user.update"],
        "queue": "mirror",
        "retries": 3,
        "timeout_seconds": 5,
        "limits": ["ordered_by=user", "changed=email"],
        "is_running": True,
        "runs": 20,
        "failures": 2,
    }.items() <= rows[1].items()
    assert rows[1]["p50_seconds"] == pytest.approx(0.01, rel=0.1)
    assert rows[1]["p95_seconds"] == pytest.approx(2, rel=0.1)
    assert rows[2] == {"event_type": "jwt.refresh", "without_handler": 1}
    text = listed()
    assert "idle: user.* group.create group.update; concurrency=3; rate=100/m; breaker\n" in text
    assert "mirror: user.update; ordered_by=user; changed=email\n" in text
    assert "arrived without a handler: jwt.refresh (1)" in text
    (minute,) = store.scan_iter("surehook:minute:*")
    assert 0 < store.ttl(minute) <= KEPT_SECONDS


def test_counts_of_several_processes_add_up_and_older_ones_do_not_count(
    listed: List, writer: Callable[[], MinuteWriter], minutes: MinuteCounts, store: redis.Redis
) -> None:
    on("test", name="it")(lambda event: None)
    for _ in range(2):
        minutes.add("it", "done", 0.01)
        writer().tick()
    old = MinuteCounts(lambda: time.time() - 3700)
    old.add("it", "done", 0.01)
    MinuteWriter(store, KEYS, Registry(registry.declared), old, handler_timeout=30).tick()

    assert json.loads(listed("--json"))["runs"] == 2


def test_without_workers_it_says_so(listed: List, writer: Callable[[], MinuteWriter], store: redis.Redis) -> None:
    assert listed() == "no handlers: no worker has run in the last three days\n"

    on("test", name="it")(lambda event: None)
    writer().tick()
    announced: Any = store.hget("surehook:handlers", "it")
    store.hset("surehook:handlers", "it", json.dumps(json.loads(announced) | {"announced_at": time.time() - 600}))

    assert "it: test; no worker runs it now" in listed()


def test_a_type_that_no_handler_wants_is_counted(accept: Any, run_worker: Any) -> None:
    accept("user.create")

    assert run_worker().metrics.unhandled == ["user.create"]


def test_limits_that_an_operator_has_changed_are_shown_as_such(
    listed: List, writer: Callable[[], MinuteWriter], store: redis.Redis
) -> None:
    on("user.create", concurrency=3, rate="100/m", name="mail")(lambda event: None)
    on("user.create", rate="5/s", name="other")(lambda event: None)
    writer().tick()
    store.hset(KEYS.limits("events.mail"), mapping={"concurrency": "1", "rate": "off"})

    shown = listed()

    assert "mail: user.create; breaker; concurrency=1 (queues limit); rate=off (queues limit)" in shown
    assert "other: user.create; rate=5/s; breaker" in shown
