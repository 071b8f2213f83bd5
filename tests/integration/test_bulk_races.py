"""A bulk action whose runner is replaced, or whose letters change, between two of its steps."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from surehook.admin.bulk_actions import ActionRefused, BulkAction, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from tests.support.bulk import bulk, lose_lease, one_at_a_time, replays, start
from tests.support.dead_letters import die, groups
from tests.support.order_machine import an_attempt

__all__ = ["bulk", "die", "groups", "one_at_a_time"]  # fixtures

Die = Callable[..., str]


@pytest.mark.usefixtures("one_at_a_time")
def test_an_action_has_one_runner(die: Die, bulk: BulkActions) -> None:
    die()
    die()
    action = start(bulk)
    runs = BulkRun(bulk, action), BulkRun(bulk, action)
    others: list[BulkAction] = []

    def while_it_runs(_: int) -> None:
        others.append(runs[1].run())
        with pytest.raises(ActionRefused, match="is running"):
            bulk.start(action.action_id, who="bob")

    done = BulkRun(bulk, action, on_step=while_it_runs).run()

    assert [other.state for other in others] == [BulkState.RUNNING] * 2
    assert (done.state, done.done) == (BulkState.DONE, 2)


def test_a_runner_that_lost_its_action_does_not_end_it(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    die()
    action = start(bulk)
    lost, current = BulkRun(bulk, action), BulkRun(bulk, action)
    assert lost.take()
    lose_lease(store, action)
    assert current.take()

    lost.end("it failed")

    assert (bulk.get(action.action_id).state, bulk.get(action.action_id).note) == (BulkState.RUNNING, "")


@pytest.mark.usefixtures("one_at_a_time")
def test_a_runner_that_lost_its_action_changes_nothing(die: Die, bulk: BulkActions, store: redis.Redis) -> None:
    ids = [die() for _ in range(4)]
    action = start(bulk)

    def another_takes_it(_: int) -> None:
        if bulk.get(action.action_id).done == 1:
            lose_lease(store, action)
            BulkRun(bulk, bulk.start(action.action_id, who="bob")).run()

    BulkRun(bulk, action, on_step=another_takes_it).run()

    done = bulk.get(action.action_id)
    assert (done.state, done.done) == (BulkState.DONE, 4)
    assert [replays(store, event_id) for event_id in ids] == [1] * 4


@pytest.mark.usefixtures("one_at_a_time")
def test_a_runner_that_lost_its_action_takes_no_step_while_the_other_runs(
    die: Die, bulk: BulkActions, store: redis.Redis
) -> None:
    ids = [die() for _ in range(3)]
    action = start(bulk)

    def another_takes_it(_: int) -> None:
        if bulk.get(action.action_id).done == 1:
            lose_lease(store, action)
            assert BulkRun(bulk, action).take()

    BulkRun(bulk, action, on_step=another_takes_it).run()

    assert (bulk.get(action.action_id).state, bulk.get(action.action_id).done) == (BulkState.RUNNING, 1)
    assert sum(replays(store, event_id) for event_id in ids) == 1


@pytest.mark.usefixtures("one_at_a_time")
def test_a_letter_that_dies_again_before_its_step_is_not_replayed_again(
    die: Die, bulk: BulkActions, dead_letters: DeadLetters, claims_of: Any, store: redis.Redis
) -> None:
    ids = die(), die()
    action = start(bulk)

    def other_dies_again(_: int) -> None:
        if bulk.get(action.action_id).skipped:
            return
        (other,) = dead_letters.matching(Filter())
        dead_letters.replay(other)
        claims = claims_of()
        while (claim := claims.claim()).event_id != other.event_id:
            claims.finish(claim, "done", None)
        claims.bury(claim, an_attempt("it"), "")

    done = BulkRun(bulk, action, on_step=other_dies_again).run()

    assert (done.done, done.skipped) == (1, 1)
    assert [replays(store, event_id) for event_id in ids] == [1, 1]
