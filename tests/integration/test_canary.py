"""The replay of a failure group tries one event first, and stops at the first that fails in the same way."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from surehook import Event, on
from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import Filter
from surehook.admin.failure_groups import FailureGroups
from tests.support.bulk import bulk, start
from tests.support.dead_letters import groups

__all__ = ["bulk", "groups"]  # fixtures


class Handler:
    """A handler that fails while it is not mended."""

    def __init__(self) -> None:
        self.is_mended = True
        self.fails_at = 0
        self.runs = 0

        @on("user.*", name="it", retries=1, backoff=[60])
        def it(event: Event) -> None:
            self.runs += 1
            if not self.is_mended or self.runs == self.fails_at:
                raise ValueError("no plan")


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def group(handler: Handler, accept: Any, run_worker: Any, make_due: Any, groups: FailureGroups) -> str:
    """Six dead letters of one group."""
    handler.is_mended = False
    for _ in range(6):
        accept()
    run_worker(turns=6)
    make_due()
    run_worker(turns=6)
    (found,) = groups.read()
    assert found.count == 6
    handler.runs, handler.is_mended = 0, True
    return found.group_id


@pytest.fixture
def working(run_worker: Any) -> Callable[[BulkRun], BulkAction]:
    """Runs an action in a thread, while a worker runs in this one."""

    def working(run: BulkRun) -> BulkAction:
        found: list[BulkAction] = []
        thread = threading.Thread(target=lambda: found.append(run.run()))
        thread.start()
        while thread.is_alive():
            run_worker()
            thread.join(0.01)
        return found[0]

    return working


def test_a_group_is_replayed_after_one_of_its_events_has_succeeded(
    group: str, handler: Handler, bulk: BulkActions, working: Any, run_worker: Any
) -> None:
    done = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group))))
    run_worker(turns=6)

    assert (done.state, done.done, done.has_canary_succeeded) == (BulkState.DONE, 6, True)
    assert handler.runs == 6


def test_a_group_stays_if_its_first_event_fails_again(
    group: str, handler: Handler, bulk: BulkActions, working: Any, groups: FailureGroups
) -> None:
    handler.is_mended = False

    stopped = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group))))

    assert (stopped.state, stopped.done, handler.runs) == (BulkState.STOPPED, 1, 1)
    assert "failed again: ValueError: no plan" in stopped.note
    assert groups.read()[0].count == 5
    handler.is_mended = True
    done = working(BulkRun(bulk, bulk.start(stopped.action_id, who="ann")))
    assert (done.state, done.done) == (BulkState.DONE, 6)


def test_the_first_of_the_others_that_fails_in_the_same_way_stops_the_rest(
    group: str, handler: Handler, bulk: BulkActions, working: Any
) -> None:
    handler.fails_at = 3

    stopped = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group), rate=5.0)))

    assert stopped.state is BulkState.STOPPED
    assert 3 <= stopped.done < 6
    assert "failed again" in stopped.note


def test_without_workers_the_others_are_not_replayed(group: str, bulk: BulkActions) -> None:
    stopped = BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group)), canary_seconds=0.3).run()

    assert (stopped.state, stopped.done) == (BulkState.STOPPED, 1)
    assert "has not run yet" in stopped.note
