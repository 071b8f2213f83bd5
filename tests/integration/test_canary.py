"""The replay of a failure group tries one event first, and stops at the first that fails in the same way."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, RetryLater, on
from surehook.admin import bulk_run
from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions, BulkState, event_of_canary
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import Filter
from surehook.admin.failure_groups import FailureGroups
from surehook.shared.scripts import text
from tests.integration.conftest import KEYS, Erase
from tests.support.bulk import bulk, one_at_a_time, start
from tests.support.dead_letters import groups
from tests.support.store_dump import contents, kept_keys

__all__ = ["bulk", "groups", "one_at_a_time"]  # fixtures


class Handler:
    """A handler that fails while it is not mended."""

    def __init__(self) -> None:
        self.is_mended = True
        self.fails_at = self.puts_off_at = 0
        self.runs = 0
        self.error: Exception = ValueError("no plan")

        @on("user.*", name="it", retries=1, backoff=[60])
        def it(event: Event) -> None:
            self.runs += 1
            if self.runs == self.puts_off_at:
                raise RetryLater(600)
            if not self.is_mended or self.runs == self.fails_at:
                raise self.error


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
    first = event_of_canary(stopped)
    assert stopped.note == f"the first event, {first}, failed again as in group {group}: ValueError"
    assert stopped.has_stopped_itself
    assert groups.read()[0].count == 5
    handler.is_mended = True
    done = working(BulkRun(bulk, bulk.start(stopped.action_id, who="ann")))
    assert (done.state, done.done) == (BulkState.DONE, 6)


def test_a_first_event_that_fails_in_another_way_names_no_group(
    group: str, handler: Handler, bulk: BulkActions, working: Any
) -> None:
    handler.error = OSError("away")
    handler.fails_at = 1

    stopped = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group))))

    assert stopped.note == f"the first event, {event_of_canary(stopped)}, failed again in another way: OSError"


def test_nothing_in_the_store_quotes_an_error_once_its_events_are_erased(
    group: str, handler: Handler, bulk: BulkActions, working: Any, erase: Erase, store: redis.Redis
) -> None:
    handler.is_mended = False
    stopped = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group))))
    assert stopped.has_stopped_itself
    assert any(b"no plan" in contents(store, key) for key in kept_keys(store))

    for event_id in [text(each) for each in store.zrange(KEYS.open, 0, -1)]:
        erase(event_id)

    assert [key for key in kept_keys(store) if b"no plan" in contents(store, key)] == []


def test_the_first_of_the_others_that_fails_in_the_same_way_stops_the_rest(
    group: str, handler: Handler, bulk: BulkActions, working: Any, store: redis.Redis
) -> None:
    handler.fails_at = 3
    action = start(bulk, REPLAY, Filter(group_id=group), rate=5.0)

    def wait_for_worker(_: int) -> None:
        wait_until(lambda: not store.llen("rq:queue:events"), "it runs")

    stopped = working(BulkRun(bulk, action, on_step=wait_for_worker))

    assert stopped.state is BulkState.STOPPED
    assert 3 <= stopped.done < 6
    assert re.fullmatch(rf"event [-0-9a-f]{{36}} failed again as in group {group}: ValueError", stopped.note)


def test_a_first_event_that_its_handler_puts_off_has_not_failed(
    group: str, handler: Handler, bulk: BulkActions, working: Any
) -> None:
    handler.puts_off_at = 1

    done = working(BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group))))

    assert (done.state, done.done, done.has_canary_succeeded) == (BulkState.DONE, 6, True)


def test_another_event_goes_first_if_the_first_is_erased(
    group: str, handler: Handler, bulk: BulkActions, erase: Erase, run_worker: Any
) -> None:
    action_id = start(bulk, REPLAY, Filter(group_id=group)).action_id
    thread = threading.Thread(target=BulkRun(bulk, bulk.get(action_id), canary_seconds=60).run)
    thread.start()
    wait_until(lambda: bulk.get(action_id).canary, "the first is replayed")
    first = event_of_canary(bulk.get(action_id))

    erase(first)

    wait_until(lambda: event_of_canary(bulk.get(action_id)) not in {"", first}, "another is the first")
    assert not bulk.get(action_id).has_canary_succeeded
    while thread.is_alive():
        run_worker()
        thread.join(0.01)
    run_worker(turns=6)
    assert (bulk.get(action_id).state, handler.runs) == (BulkState.DONE, 5)


@pytest.mark.usefixtures("handler", "one_at_a_time")
def test_few_of_the_others_wait_for_their_run_at_a_time(
    group: str, bulk: BulkActions, store: redis.Redis, run_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_run, "MOST_IN_FLIGHT", 2)
    waiting: list[int] = []
    action = start(bulk, REPLAY, Filter(group_id=group))
    run = BulkRun(bulk, action, on_step=lambda _: waiting.append(store.llen("rq:queue:events")))
    thread = threading.Thread(target=run.run)
    thread.start()
    while thread.is_alive():
        is_full = waiting[-1:] == [2] and store.llen("rq:queue:events") == 2
        if is_full or not bulk.get(action.action_id).has_canary_succeeded:
            run_worker()
        thread.join(0.01)

    assert (len(waiting), max(waiting)) == (6, 2)


def test_without_workers_the_others_are_not_replayed(group: str, bulk: BulkActions) -> None:
    stopped = BulkRun(bulk, start(bulk, REPLAY, Filter(group_id=group)), canary_seconds=0.3).run()

    assert (stopped.state, stopped.done) == (BulkState.STOPPED, 1)
    assert "has not run yet" in stopped.note
