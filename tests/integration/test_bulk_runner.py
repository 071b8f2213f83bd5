"""A dashboard runs the bulk actions that pages have started, one runner each, and takes over those of another."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook.admin.bulk_actions import DISCARD, REPLAY, BulkActions, BulkState
from surehook.admin.bulk_filters import pack
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import Filter
from surehook.dashboard import bulk_runner
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS
from tests.support.bulk import bulk, is_done, lose_lease, replays, runner, start
from tests.support.dead_letters import die

__all__ = ["bulk", "die", "runner"]  # fixtures


def test_two_dashboards_and_a_command_at_once_replay_each_event_once(
    die: Any, bulk: BulkActions, store: redis.Redis, runner: BulkRunner
) -> None:
    ids = [die() for _ in range(20)]
    other = BulkRunner(bulk)
    command = threading.Thread(target=BulkRun(bulk, start(bulk)).run)
    plans = [bulk.plan(REPLAY, Filter(), who="ann") for _ in range(2)]
    actions = [bulk.start(plan.action_id, who="ann", for_dashboard=True) for plan in plans]

    command.start()
    ticks = [threading.Thread(target=each.tick) for each in (runner, other, runner, other)]
    for thread in ticks:
        thread.start()
    for thread in (*ticks, command):
        thread.join()

    wait_until(lambda: all(is_done(bulk, action.action_id) for action in actions), "both are done")
    assert [replays(store, event_id) for event_id in ids] == [1] * 20
    other.stop_and_wait()


@pytest.mark.chaos
def test_an_action_whose_dashboard_was_killed_goes_on_in_another(
    die: Any, bulk: BulkActions, store: redis.Redis, settings: Settings, runner: BulkRunner, tmp_path: Path
) -> None:
    ids = [die() for _ in range(5)]
    plan = bulk.plan(REPLAY, Filter(), who="ann")
    action = bulk.start(plan.action_id, who="ann", for_dashboard=True, changes={"rate": "0.01"})
    environment = os.environ | {"SUREHOOK_DATA_DIR": str(settings.data_dir), "SUREHOOK_DASHBOARD_BIND": "127.0.0.1:0"}
    process = subprocess.Popen([sys.executable, "-m", "surehook", "dashboard"], env=environment, cwd=tmp_path)
    try:
        wait_until(lambda: bulk.get(action.action_id).done > 0, "the dashboard has taken it", 90)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    runner.tick()
    assert bulk.get(action.action_id).done < 5, "the lease of the first still holds"
    store.hset(KEYS.bulk_action(action.action_id), "rate", "")
    lose_lease(store, action)
    assert bulk.get(action.action_id).state is BulkState.INTERRUPTED

    runner.tick()

    wait_until(lambda: is_done(bulk, action.action_id), "the other dashboard replays the rest")
    assert [replays(store, event_id) for event_id in ids] == [1] * 5


def test_a_dashboard_that_stops_leaves_its_actions_to_the_next_at_once(
    die: Any, bulk: BulkActions, runner: BulkRunner
) -> None:
    die(), die()
    plan = bulk.plan(DISCARD, Filter(), who="ann", reason="old")
    first = BulkRunner(bulk)
    first.take(bulk.start(plan.action_id, who="ann", for_dashboard=True, changes={"rate": "0.01"}))
    wait_until(lambda: bulk.get(plan.action_id).done == 1, "one is discarded")

    first.stop_and_wait()
    assert (bulk.get(plan.action_id).state, bulk.get(plan.action_id).done) == (BulkState.INTERRUPTED, 1)
    first.take(bulk.get(plan.action_id))
    assert bulk.get(plan.action_id).state is BulkState.INTERRUPTED, "one that stops takes nothing"
    runner.tick()

    assert bulk.get(plan.action_id).state is BulkState.RUNNING


def test_a_dashboard_runs_a_few_actions_at_once_and_the_others_later(
    die: Any, bulk: BulkActions, runner: BulkRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_runner, "MOST_AT_ONCE", 1)
    die(), die()
    plans = [bulk.plan(DISCARD, Filter(), who="ann", reason="old") for _ in range(2)]
    first, second = (
        bulk.start(plan.action_id, who="ann", for_dashboard=True, changes={"rate": "0.01"}) for plan in plans
    )
    runner.take(first)
    runner.take(second)
    assert [bulk.get(each.action_id).state for each in (first, second)] == [BulkState.RUNNING, BulkState.INTERRUPTED]

    bulk.stop(first.action_id, who="ann")

    def is_taken() -> bool:
        runner.tick()
        return bulk.get(second.action_id).state is not BulkState.INTERRUPTED

    wait_until(is_taken, "the second is taken")


def test_a_dashboard_takes_no_action_of_a_command(die: Any, bulk: BulkActions, runner: BulkRunner) -> None:
    die()
    action = start(bulk)

    runner.tick()

    assert bulk.get(action.action_id).state is BulkState.INTERRUPTED


def test_an_action_that_breaks_is_stopped_and_says_so(
    die: Any, bulk: BulkActions, runner: BulkRunner, store: redis.Redis
) -> None:
    store.rpush(KEYS.attempts(die()), "no JSON")
    action = bulk.start(broken_plan(bulk, store), who="ann", for_dashboard=True)

    runner.take(action)

    wait_until(lambda: bulk.get(action.action_id).state is BulkState.STOPPED, "it is stopped")
    assert bulk.get(action.action_id).note == "JSONDecodeError: the log of the dashboard has its place"


def test_an_action_that_the_store_will_never_do_is_stopped_and_says_why(
    die: Any, bulk: BulkActions, runner: BulkRunner, store: redis.Redis
) -> None:
    event_id = die()
    plan = bulk.plan(REPLAY, Filter(), who="ann")
    store.delete(KEYS.event(event_id))
    store.set(KEYS.event(event_id), "changed by hand")

    runner.take(bulk.start(plan.action_id, who="ann", for_dashboard=True))

    wait_until(lambda: bulk.get(plan.action_id).state is BulkState.STOPPED, "it is stopped")
    assert "keys were changed by hand" in bulk.get(plan.action_id).note


def broken_plan(bulk: BulkActions, store: redis.Redis) -> str:
    """A plan that was made before something broke."""
    plan = bulk.plan(REPLAY, Filter(group_id="0" * 9), who="ann")
    store.hset(KEYS.bulk_action(plan.action_id), "filter", pack(Filter()))
    return plan.action_id
