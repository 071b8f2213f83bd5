"""Bulk actions for tests: the actions of the tests' store, a started one, and those who run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.admin import portions
from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions, BulkState
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.event_records import EventFilter
from surehook.admin.events import EventLog
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings

KEYS = Keys()


@pytest.fixture
def bulk(store: redis.Redis, dead_letters: DeadLetters) -> BulkActions:
    return BulkActions(store, KEYS, dead_letters, EventLog(store, KEYS, handler_timeout=30))


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of one, so that a test can intervene after each step."""
    monkeypatch.setattr(portions, "AT_ONCE", 1)


@pytest.fixture
def runner(bulk: BulkActions) -> Iterator[BulkRunner]:
    """That of a dashboard whose thread does not tick by itself."""
    runner = BulkRunner(bulk)
    yield runner
    runner.stop_and_wait()


def start(
    bulk: BulkActions, verb: str = REPLAY, wanted: Filter | EventFilter | None = None, **options: Any
) -> BulkAction:
    plan = bulk.plan(verb, wanted or Filter(), who="ann", **options)
    return bulk.start(plan.action_id, who="ann")


def lose_lease(store: redis.Redis, action: BulkAction) -> None:
    """As if the time of its runner's lease had passed."""
    store.hset(KEYS.bulk_action(action.action_id), "lease_until", 1)


def killed_after_its_first_event(
    bulk: BulkActions, settings: Settings, folder: Path, store: redis.Redis, *arguments: str
) -> BulkAction:
    """Runs a command that rests after an event, kills it, and returns its action, whose lease and rate have ended."""
    command = [sys.executable, "-m", "surehook", *arguments, "--rate", "0.01"]
    environment = os.environ | {"SUREHOOK_DATA_DIR": str(settings.data_dir)}
    process = subprocess.Popen(command, env=environment, cwd=folder)
    try:
        wait_until(lambda: any(action.done for action in bulk.newest()), "an event is replayed", 90)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (action,) = bulk.newest()
    store.hset(KEYS.bulk_action(action.action_id), "rate", "")
    lose_lease(store, action)
    return bulk.get(action.action_id)


def is_done(bulk: BulkActions, action_id: str) -> bool:
    return bulk.get(action_id).state is BulkState.DONE


def replays(store: redis.Redis, event_id: str) -> int:
    """How often operators have replayed an event."""
    log = EventLog(store, KEYS, handler_timeout=30)
    return len([each for each in log.actions(event_id) if each.action == "replayed"])
