"""BODY_RETENTION: the body of a closed event goes before its record, and every command says so."""

import re
from collections.abc import Callable

import pytest
import redis
from click.testing import CliRunner, Result

from harness.stack import wait_until
from surehook.main import cli
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from surehook.workers.maintenance.retention import Retention
from tests.integration.conftest import Accept
from tests.integration.test_known_ids import finish
from tests.support.claiming import SingleClaims
from tests.support.transactions import Protocol, Windows

KEYS = Keys()
Clerks = Callable[..., SingleClaims]


@pytest.fixture
def drop_bodies(store: redis.Redis, settings: Settings) -> Callable[[], int]:
    """Drops the bodies of all events that were closed since the fixture was made, as if their time was over."""
    Retention(store, KEYS, settings.model_copy(update={"body_retention": 1})).tick()
    script = Script("drop_bodies", KEYS)
    return lambda: int(script.run(store, 0, 100))


def surehook(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"SUREHOOK_DATA_DIR": str(settings.data_dir)})


def has_body(store: redis.Redis, event_id: str) -> bool:
    return bool(store.hexists(KEYS.event(event_id), "body"))


def test_the_body_goes_and_the_record_stays(
    accept: Accept, claims_of: Clerks, store: redis.Redis, drop_bodies: Callable[[], int]
) -> None:
    closed, is_open = accept(), accept()
    finish(claims_of(), store)

    assert drop_bodies() == 1

    assert not has_body(store, closed)
    assert has_body(store, is_open)
    assert store.hget(KEYS.event(closed), "outcome") == b"done"
    assert drop_bodies() == 0
    assert not store.exists(KEYS.closed_bodies)


def test_it_goes_when_its_time_is_over_and_no_earlier(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings
) -> None:
    retention = Retention(store, KEYS, settings.model_copy(update={"body_retention": 1}))
    retention.tick()
    event_id = accept()
    finish(claims_of(), store)

    Retention(store, KEYS, settings.model_copy(update={"body_retention": 60})).tick()
    assert has_body(store, event_id)

    def is_gone() -> bool:
        retention.tick()
        return not has_body(store, event_id)

    wait_until(is_gone, "the body is gone")


def test_without_the_setting_nothing_is_listed_and_the_body_stays_as_long_as_the_record(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings, drop_bodies: Callable[[], int]
) -> None:
    Retention(store, KEYS, settings).tick()
    event_id = accept()
    finish(claims_of(), store)

    assert drop_bodies() == 0
    assert has_body(store, event_id)
    assert not store.exists(KEYS.body_retention, KEYS.closed_bodies)


def test_an_event_that_runs_again_keeps_its_body_until_it_is_closed_again(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings, drop_bodies: Callable[[], int]
) -> None:
    event_id = accept()
    finish(claims_of(), store)
    assert surehook(settings, "events", "replay", event_id).exit_code == 0

    drop_bodies()
    assert has_body(store, event_id)
    finish(claims_of(), store)
    drop_bodies()

    assert not has_body(store, event_id)


@pytest.mark.parametrize("kept", ["orphan", "run that was given up"])
def test_the_body_of_an_unfinished_matter_stays(
    kept: str, accept: Accept, claims_of: Clerks, store: redis.Redis, drop_bodies: Callable[[], int]
) -> None:
    event_id = accept()
    if kept == "orphan":
        store.zadd(KEYS.orphans, {event_id: 1})
    else:
        store.hset(KEYS.event(event_id), "given_up", "a run")
    finish(claims_of(), store)

    drop_bodies()

    assert has_body(store, event_id)


def test_lists_replays_and_erasures_say_that_the_body_has_expired(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings, drop_bodies: Callable[[], int]
) -> None:
    event_id = accept()
    finish(claims_of(), store)
    drop_bodies()

    assert "body expired: 1, which cannot be replayed" in surehook(settings, "events", "list").stderr
    shown = surehook(settings, "events", "show", event_id, "--body")
    assert "body expired (SUREHOOK_BODY_RETENTION)" in shown.stderr
    assert re.search(r"^has_body +no$", shown.stdout, re.MULTILINE)
    one = surehook(settings, "events", "replay", event_id)
    assert (one.exit_code, f"{event_id} cannot run again: body expired" in str(one.exception)) == (1, True)
    assert "0 replayed, 1 no longer closed, or body expired" in surehook(settings, "events", "replay", "--all").stdout
    assert "1 events erased" in surehook(settings, "events", "erase", event_id).stdout
    store.delete(KEYS.event(event_id))
    gone = surehook(settings, "events", "show", event_id)
    assert f"only the id of event {event_id} is left" in str(gone.exception)


def test_a_refused_transaction_that_comes_again_brings_its_body(
    store: redis.Redis, drop_bodies: Callable[[], int]
) -> None:
    protocol = Protocol(store, Windows(budget=60_000, memory=1, confirm=100, retention=3600, beat=60_000, dead=1000))
    protocol.beat("worker")
    event_id = "3f0c0000-0000-4000-8000-00000000abcd"
    first = protocol.submit(event_id, "ingest")
    protocol.abandon(event_id, first.round)
    drop_bodies()
    assert not has_body(store, event_id)
    wait_until(lambda: not store.exists(KEYS.transaction(event_id)), "the refusal is forgotten")

    second = protocol.submit(event_id, "ingest")

    assert second.state == "waiting"
    assert has_body(store, event_id)


def test_a_transaction_with_a_known_id_is_a_duplicate(store: redis.Redis, accept: Accept, claims_of: Clerks) -> None:
    protocol = Protocol(store, Windows(budget=60_000, memory=1, confirm=100, retention=3600, beat=60_000, dead=1000))
    protocol.beat("worker")
    event_id = accept()
    finish(claims_of(), store)
    store.delete(KEYS.event(event_id))

    assert protocol.submit(event_id, "ingest").state == "duplicate"
