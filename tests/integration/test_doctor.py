"""Each mistake in the store, the queues and the handlers is a finding that says what to change."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from surehook.fusionauth.doctor.examination import Examination
from surehook.fusionauth.doctor.findings import Finding, Level
from surehook.shared.heartbeat import WORKER, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.minutes import MinuteCounts
from surehook.shared.scripts import Script, texts
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry, on
from surehook.workers.maintenance.minutes import MinuteWriter
from surehook.workers.rq_worker import RQWorkers
from tests.integration.conftest import KEYS, Accept
from tests.support.command import command_on

SECRET = "a-planted-secret-of-the-doctor-0123456789"
Change = Callable[[redis.Redis], Any]
OURS = "host-1-0123abcd.1"
STOCK = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _handlers() -> None:
    on("user.delete", name="forget")(lambda event: None)


@pytest.fixture
def examine(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    monkeypatch.setattr("surehook.fusionauth.doctor.endpoint.TIMEOUT", 0.5)

    def examine(**changes: Any) -> list[Finding]:
        given = {"api_keys": (SECRET,), "handlers": ("json",), "bind": "127.0.0.1:1", "data_dir": settings.data_dir}
        changed = Settings.model_validate({**given, "spool_dir": str(tmp_path / "spool"), **changes})
        examination = Examination(changed, tmp_path, datetime.now(UTC))
        found = [each for group in examination.groups() for each in group.findings]
        assert SECRET not in repr(found)
        assert all(each.means and each.change for each in found if each.level is not Level.OK)
        return found

    return examine


def register(store: redis.Redis, name: str = OURS, queue: str = "events") -> None:
    RQWorkers(store, KEYS, queue, [name]).register()


def levels(found: list[Finding]) -> dict[str, Level]:
    """The worst level of each check."""
    order = list(Level)
    return {each.check: each.level for each in sorted(found, key=lambda each: order.index(each.level), reverse=True)}


def test_a_sound_installation_has_no_findings(examine: Callable[..., list[Finding]], store: redis.Redis) -> None:
    register(store)

    found = examine()

    assert {each.check for each in found if each.level is not Level.OK} == {"signature", "endpoint", "fusionauth"}


def test_without_modules_the_handlers_of_running_workers_are_named(
    examine: Callable[..., list[Finding]], store: redis.Redis
) -> None:
    """As after `surehook dev` with the example's handlers, which the settings do not name."""
    assert levels(examine(handlers=()))["handlers"] is Level.LOSES_EVENTS
    registry = Registry(registry_module.declared)

    MinuteWriter(store, KEYS, registry, MinuteCounts(), handler_timeout=30).tick()

    (found,) = [each for each in examine(handlers=()) if each.check == "handlers"]
    assert (found.level, found.wrong) == (
        Level.ODD, "SUREHOOK_HANDLERS is not set here, but workers run forget.",
    )  # fmt: skip


def put_away(store: redis.Redis) -> None:
    store.sadd(KEYS.queues, "events")
    store.lpush(KEYS.rq_queue("events"), "a-job-of-another-application")


def give_to_missing_handler(store: redis.Redis) -> None:
    store.sadd(KEYS.queues, "events")
    store.zadd(KEYS.rq_scheduled("events"), {"5b0a7b52-2222-4d0f-8f43-6d1c2b3a4f50_gone": 9e9})


def heartbeat_of_another(store: redis.Redis) -> None:
    message = HeartbeatMessage(WORKER, "other", transactional_types(["user.update"]), TRANSACTIONAL_QUEUE)
    Script("heartbeat", KEYS).run(store, *message.available)


def configured(name: str, value: str) -> Change:
    return lambda store: store.config_set(name, value)


def fill_memory(share: float) -> Change:
    def fill(store: redis.Redis) -> None:
        used: Any = store.info("memory")
        store.config_set("maxmemory", int(used["used_memory"] / share))

    return fill


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        pytest.param(lambda _: None, "worker", Level.LOSES_EVENTS, id="no worker"),
        pytest.param(configured("appendfsync", "everysec"), "durable", Level.LOSES_EVENTS, id="fsync"),
        pytest.param(configured("maxmemory-policy", "allkeys-lru"), "durable", Level.LOSES_EVENTS, id="eviction"),
        pytest.param(fill_memory(0.88), "memory", Level.ODD, id="memory gets short"),
        pytest.param(lambda store: store.set(KEYS.ledger, "x"), "prefix", Level.LOSES_EVENTS, id="foreign keys"),
        pytest.param(lambda store: store.set(KEYS.store_format, "9"), "store", Level.LOSES_EVENTS, id="newer format"),
        pytest.param(put_away, "foreign-jobs", Level.ODD, id="foreign jobs"),
        pytest.param(lambda store: register(store, STOCK), "stock-worker", Level.ODD, id="stock worker"),
        pytest.param(give_to_missing_handler, "unknown-handler", Level.ODD, id="handler is gone"),
        pytest.param(heartbeat_of_another, "processes-agree", Level.BLOCKS_USERS, id="lists differ"),
        pytest.param(lambda store: store.sadd(KEYS.paused, "events"), "paused", Level.LOSES_EVENTS, id="paused"),
        pytest.param(lambda store: store.set(KEYS.rq_suspended, 1), "suspended", Level.BLOCKS_USERS, id="suspended"),
        pytest.param(lambda store: store.zadd(KEYS.orphans, {"x": 1}), "orphans", Level.ODD, id="orphans"),
        pytest.param(lambda store: store.hset(KEYS.ledger, "accepted", 5), "ledger", Level.ODD, id="imbalance"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_store_is_found(
    change: Change, check: str, level: Level, examine: Callable[..., list[Finding]], unchanged: redis.Redis
) -> None:
    change(unchanged)

    assert levels(examine())[check] is level


@pytest.fixture
def unchanged(store: redis.Redis) -> Iterator[redis.Redis]:
    """The store; its settings are put back."""
    names = ("appendfsync", "maxmemory-policy", "maxmemory")
    before: dict[Any, Any] = {name: store.config_get(name)[name] for name in names}
    yield store
    for name, value in before.items():
        store.config_set(name, value)


@pytest.mark.parametrize(
    ("changes", "check", "level"),
    [
        pytest.param({"redis_url": "redis://127.0.0.1:1"}, "store", Level.LOSES_EVENTS, id="no store"),
        pytest.param({"durability": "memory"}, "durable", Level.LOSES_EVENTS, id="not on disk"),
        pytest.param({"durability": "trusted"}, "durable", Level.ODD, id="not checked"),
        pytest.param({"durability": "replicated"}, "durable", Level.LOSES_EVENTS, id="no replica"),
        pytest.param({"handlers": ("no_such_module",)}, "handlers", Level.LOSES_EVENTS, id="no module"),
        pytest.param({"transactional_events": ("user.create",)}, "agreement", Level.BLOCKS_USERS, id="no one decides"),
        pytest.param({"spool_dir": "off"}, "spool", Level.ODD, id="no spool"),
        pytest.param({"spool_max_bytes": 10**18}, "spool", Level.OK, id="spool comes later"),
        pytest.param({"bind": "unix:/x.sock"}, "endpoint", Level.ODD, id="no URL"),
    ],
)
def test_a_mistake_in_the_settings_is_found(
    changes: dict[str, Any], check: str, level: Level, examine: Callable[..., list[Finding]]
) -> None:
    assert levels(examine(**changes))[check] is level


def test_dead_letters_a_late_queue_and_a_full_backlog_are_found(
    examine: Callable[..., list[Finding]], accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    for _ in range(3):
        accept()
    claims = claims_of()
    claims.bury(claims.claim(), _attempt(), "Traceback")
    (head,) = texts(store.lrange(KEYS.rq_queue("events"), 0, 0))
    store.hset(KEYS.rq_job(head), "enqueued_at", "2026-01-01T00:00:00.000000Z")

    found = levels(examine(max_backlog=3))

    wanted = {"dead-letters": Level.ODD, "late": Level.ODD, "backlog": Level.LOSES_EVENTS}
    assert {check: found[check] for check in wanted} == wanted


def _attempt() -> Any:
    from surehook.workers.execution.attempts import AttemptRecord

    return AttemptRecord("forget", 1, datetime.now(UTC), 5, "failed", "it")


def test_a_transactional_queue_without_worker_blocks_users(examine: Callable[..., list[Finding]]) -> None:
    registry_module.declared.clear()
    on("user.create", name="decide", transactional=True)(lambda event: None)

    found = examine(transactional_events=("user.create",))

    assert [each.level for each in found if each.check == "worker" and "transactional" in each.wrong] == [
        Level.BLOCKS_USERS
    ]


def test_imports_that_do_not_fit_are_found(examine: Callable[..., list[Finding]]) -> None:
    on("user.bulk.create", name="imported")(lambda event: None)

    assert levels(examine())["imports"] is Level.ODD


def test_what_waits_in_the_spool_is_found(examine: Callable[..., list[Finding]], tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "x.sqlite3.set-aside").touch()
    (folder / "y.sqlite3").write_bytes(b"no database")

    found = levels(examine(spool_max_bytes=10**18))

    assert found["spool-room"] is Level.ODD
    assert found["spool-unreadable"] is Level.ODD
    assert found["spool-damaged"] is Level.LOSES_EVENTS


def test_the_command_fails_on_serious_findings_and_writes_json(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUREHOOK_API_KEYS", SECRET)
    monkeypatch.setenv("SUREHOOK_BIND", "127.0.0.1:1")
    monkeypatch.setenv("SUREHOOK_SPOOL_DIR", str(tmp_path / "spool"))
    surehook = command_on(settings, monkeypatch)

    status, text = surehook("doctor")
    _, document = surehook("doctor", "--json")
    monkeypatch.setenv("SUREHOOK_BINDE", "x")
    misspelt_status, misspelt = surehook("doctor")

    assert status == 1
    assert "loses events\tHandlers\tSUREHOOK_HANDLERS is not set" in text
    assert "lose events" in text.splitlines()[-1]
    assert {"group", "level", "check", "wrong", "means", "change"} == set(json.loads(document)["findings"][0])
    assert SECRET not in text + document
    assert (misspelt_status, "did you mean SUREHOOK_BIND?" in misspelt) == (1, True)
