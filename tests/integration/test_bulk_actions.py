"""Many dead letters are replayed or discarded by an action that can be stopped, killed and resumed at any point."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from surehook.admin.audit import Audit
from surehook.admin.bulk_actions import DISCARD, REPLAY, ActionRefused, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import EventLog
from surehook.admin.failure_groups import FailureGroups
from surehook.shared.errors import NotFound
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Erase
from tests.support.bulk import bulk, killed_after_its_first_event, one_at_a_time, replays, start
from tests.support.command import Surehook
from tests.support.dead_letters import die, groups, surehook
from tests.support.order_machine import an_attempt

__all__ = ["bulk", "die", "groups", "one_at_a_time", "surehook"]  # fixtures

Die = Callable[..., str]


def test_a_plan_changes_nothing_and_says_what_it_would_do(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    ids = [die(), die()]

    plan = bulk.plan(REPLAY, Filter(handler="it"), who="ann", reason="mended")

    assert (plan.state, plan.planned, set(plan.sample)) == (BulkState.PLANNED, 2, set(ids))
    assert store.zcard("rq:failed:events") == 2
    assert 0 < store.ttl(KEYS.bulk_action(plan.action_id)) <= 3600


@pytest.mark.parametrize(("verb", "left"), [(REPLAY, 2), (DISCARD, 0)])
def test_an_action_takes_each_matching_letter_once(
    verb: str, left: int, die: Die, bulk: BulkActions, store: redis.Redis
) -> None:
    die()
    die()
    die(handler="other")

    done = BulkRun(bulk, start(bulk, verb, Filter(handler="it"))).run()

    assert (done.state, done.done, done.skipped) == (BulkState.DONE, 2, 0)
    assert store.zcard("rq:failed:events") == 1
    assert store.llen("rq:queue:events") == left
    with pytest.raises(ActionRefused, match="done"):
        bulk.start(done.action_id, who="ann")


def test_a_letter_that_dies_again_is_not_replayed_again(
    die: Die, bulk: BulkActions, dead_letters: DeadLetters, claims_of: Any, store: redis.Redis
) -> None:
    event_id = die()
    first = start(bulk)
    second = start(bulk)
    BulkRun(bulk, first).run()
    claims_of().bury(claims_of().claim(), an_attempt("it"), "")

    done = BulkRun(bulk, second).run()

    assert (done.done, replays(store, event_id)) == (0, 1)
    assert len(list(dead_letters.matching(Filter()))) == 1


@pytest.mark.usefixtures("one_at_a_time")
def test_two_actions_at_once_replay_each_event_once(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    ids = [die() for _ in range(20)]
    actions = [start(bulk), start(bulk)]
    threads = [threading.Thread(target=BulkRun(bulk, action).run) for action in actions]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [replays(store, event_id) for event_id in ids] == [1] * 20
    assert sum(bulk.get(action.action_id).done for action in actions) == 20


def test_an_action_is_of_the_operator_who_starts_it(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    event_id = die()
    plan = bulk.plan(REPLAY, Filter(), who="ann")

    done = BulkRun(bulk, bulk.start(plan.action_id, who="bob")).run()

    assert done.who == "bob"
    assert {entry.who for entry in Audit(store, KEYS).newest()} == {"bob"}
    assert [each.who for each in EventLog(store, KEYS, handler_timeout=30).actions(event_id)] == ["bob"]


@pytest.mark.usefixtures("one_at_a_time")
def test_a_stopped_action_goes_on_with_the_rest(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    ids = [die() for _ in range(3)]
    action = start(bulk)

    def stop(_: int) -> None:
        bulk.stop(action.action_id, who="bob")

    stopped = BulkRun(bulk, action, on_step=stop).run()
    assert (stopped.state, stopped.done, stopped.note) == (BulkState.STOPPED, 1, "stopped by bob")
    with pytest.raises(ActionRefused, match="stopped"):
        bulk.stop(action.action_id, who="bob")
    done = BulkRun(bulk, bulk.start(action.action_id, who="ann")).run()

    assert (done.state, done.done) == (BulkState.DONE, 3)
    assert [replays(store, event_id) for event_id in ids] == [1] * 3


def test_an_action_whose_command_was_killed_is_resumed(
    die: Die, bulk: BulkActions, store: redis.Redis, settings: Settings, surehook: Surehook, tmp_path: Path
) -> None:
    ids = [die() for _ in range(4)]
    action = killed_after_its_first_event(bulk, settings, tmp_path, store, "dead-letters", "replay", "--all")
    assert action.state is BulkState.INTERRUPTED

    assert surehook("actions", "resume", action.action_id[:4])[0] == 0

    assert bulk.get(action.action_id).state is BulkState.DONE
    assert [replays(store, event_id) for event_id in ids] == [1] * 4


@pytest.mark.usefixtures("one_at_a_time")
def test_letters_that_are_erased_or_discarded_during_an_action_are_skipped(
    die: Die, bulk: BulkActions, groups: FailureGroups, dead_letters: DeadLetters, erase: Erase
) -> None:
    ids = [die() for _ in range(3)]
    group_id = groups.read()[0].group_id
    action = start(bulk, DISCARD, Filter(group_id=group_id), reason="old")

    def others_go(_: int) -> None:
        for letter in list(dead_letters.matching(Filter())):
            if letter.event_id in ids[:2]:
                erase(letter.event_id)
            else:
                dead_letters.discard(letter, who="bob")

    done = BulkRun(bulk, action, on_step=others_go).run()

    assert (done.state, done.done, done.skipped) == (BulkState.DONE, 1, 2)


def test_an_action_on_a_group_that_has_vanished_ends(
    die: Die, bulk: BulkActions, groups: FailureGroups, erase: Erase
) -> None:
    event_id = die()
    action = start(bulk, REPLAY, Filter(group_id=groups.read()[0].group_id))
    erase(event_id)
    assert groups.read(with_empty=True) == []

    done = BulkRun(bulk, action).run()

    assert (done.state, done.done) == (BulkState.DONE, 0)


def test_actions_are_bounded_and_expire(bulk: BulkActions, store: redis.Redis) -> None:
    running = start(bulk)
    BulkRun(bulk, running)._take.run(store, running.action_id, "another")  # noqa: SLF001
    for _ in range(101):
        bulk.plan(REPLAY, Filter(), who="ann")

    found = bulk.newest(200)

    assert len(found) == 100
    assert running.action_id in [action.action_id for action in found]
    store.delete(KEYS.bulk_action(found[0].action_id))
    with pytest.raises(NotFound):
        bulk.start(found[0].action_id, who="ann")


def test_a_plan_is_kept_beside_any_number_of_started_actions(bulk: BulkActions) -> None:
    for _ in range(100):
        start(bulk)

    plan = bulk.plan(REPLAY, Filter(), who="ann")

    assert bulk.get(plan.action_id).state is BulkState.PLANNED


def test_the_audit_tells_of_an_action_before_its_first_step_and_after_its_last(
    die: Die, bulk: BulkActions, store: redis.Redis
) -> None:
    die()
    action = start(bulk, DISCARD, Filter(handler="it", user_id="8f2d6a4e-1111-4c3b-9a55-0c7d5d1e2f30"), reason="old")
    (started,) = Audit(store, KEYS).newest()
    assert (started.who, started.action, started.count, started.reason) == ("ann", "bulk discard started", 1, "old")
    assert started.action_id == action.action_id
    assert "handler it" in started.target
    assert "8f2d6a4e" not in started.target

    BulkRun(bulk, action).run()

    ended, _ = Audit(store, KEYS).newest()
    assert (ended.action, ended.count) == ("bulk discard ended", 1)
