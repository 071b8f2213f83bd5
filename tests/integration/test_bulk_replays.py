"""Many closed events are run again by an action that can be stopped, killed and resumed at any point."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import USER_ID
from surehook.admin import bulk_run, bulk_steps, portions
from surehook.admin.audit import Audit
from surehook.admin.bulk_actions import REPLAY, BulkActions, BulkState
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.erasure import Erasure
from surehook.admin.events import EventFilter, EventLog
from surehook.shared.encryption import BodyCipher
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import KEYS, Accept, Erase
from tests.integration.test_known_ids import finish
from tests.support.bulk import bulk, killed_after_its_first_event, lose_lease, one_at_a_time, replays, start
from tests.support.command import Surehook
from tests.support.dead_letters import die, surehook

__all__ = ["bulk", "die", "one_at_a_time", "surehook"]  # fixtures

Close = Callable[..., str]
ALL = EventFilter()


@pytest.fixture
def close(accept: Accept, claims_of: Any, store: redis.Redis) -> Close:
    """Accepts an event and closes it as done."""

    def close(*arguments: Any, **fields: Any) -> str:
        event_id = accept(*arguments, **fields)
        finish(claims_of(), store)
        return event_id

    return close


def test_an_action_runs_each_matching_event_again_in_the_order_of_receipt(
    close: Close, accept: Accept, bulk: BulkActions, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "AT_ONCE", 2)
    ids = [close() for _ in range(5)]
    close("user.create")
    waiting = accept()

    done = BulkRun(bulk, start(bulk, REPLAY, EventFilter(event_type="user.delete"))).run()

    assert (done.state, done.planned, done.done, done.skipped) == (BulkState.DONE, 5, 5, 0)
    assert texts(store.lrange("rq:queue:events", 0, -1)) == [waiting, *ids]
    assert [replays(store, event_id) for event_id in ids] == [1] * 5


def test_an_event_that_is_closed_again_is_not_replayed_again(
    close: Close, bulk: BulkActions, claims_of: Any, store: redis.Redis
) -> None:
    event_id = close()
    first, second = start(bulk, REPLAY, ALL), start(bulk, REPLAY, ALL)
    BulkRun(bulk, first).run()
    finish(claims_of(), store)

    done = BulkRun(bulk, second).run()

    assert (done.state, done.done, replays(store, event_id)) == (BulkState.DONE, 0, 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_two_actions_at_once_replay_each_closed_event_once(
    close: Close, bulk: BulkActions, claims_of: Any, store: redis.Redis
) -> None:
    """A worker closes each event at once, so that the other action finds it closed again."""
    ids = [close() for _ in range(8)]
    actions = [start(bulk, REPLAY, ALL), start(bulk, REPLAY, ALL)]
    lock = threading.Lock()

    def work(_: int) -> None:
        with lock:
            if store.llen("rq:queue:events"):
                finish(claims_of(), store)

    threads = [threading.Thread(target=BulkRun(bulk, action, on_step=work).run) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [replays(store, event_id) for event_id in ids] == [1] * 8
    assert sum(bulk.get(action.action_id).done for action in actions) == 8


def test_what_is_erased_or_has_lost_its_body_is_skipped_when_an_action_goes_on(
    close: Close, bulk: BulkActions, store: redis.Redis, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "AT_ONCE", 1)
    _, erased, expired, last = (close() for _ in range(4))
    action = start(bulk, REPLAY, ALL)

    def stop(_: int) -> None:
        bulk.stop(action.action_id, who="bob")

    BulkRun(bulk, action, on_step=stop).run()
    erase(erased)
    store.hdel(KEYS.event(expired), "body")

    done = BulkRun(bulk, bulk.start(action.action_id, who="ann")).run()

    assert (done.state, done.done, done.skipped) == (BulkState.DONE, 2, 1)
    assert replays(store, last) == 1


def test_a_command_that_was_killed_is_resumed(
    close: Close, bulk: BulkActions, store: redis.Redis, settings: Settings, surehook: Surehook, tmp_path: Path
) -> None:
    ids = [close() for _ in range(4)]
    command = ("events", "replay", "--type", "user.delete")
    action = killed_after_its_first_event(bulk, settings, tmp_path, store, *command)

    assert surehook("actions", "resume", action.action_id) == (0, "4 replayed\n")

    assert [replays(store, event_id) for event_id in ids] == [1] * 4


def test_by_an_address_the_plan_keeps_nothing_readable(
    close: Close, accept: Accept, bulk: BulkActions, store: redis.Redis, settings: Settings, surehook: Surehook
) -> None:
    event_id = close(user={"id": USER_ID, "email": "Ann@Example.com"})
    close("user.create")
    upkeep = IndexUpkeep(store, KEYS, settings)
    while upkeep.finish_rows():
        pass

    assert surehook("events", "replay", "--email", "ann@example.com") == (0, "1 replayed\n")

    (action,) = bulk.newest()
    everything = str(store.hgetall(KEYS.bulk_action(action.action_id))) + str(Audit(store, KEYS).newest())
    assert "xample" not in everything
    assert replays(store, event_id) == 1


def test_who_replayed_is_in_the_audit_and_with_the_event(
    close: Close, bulk: BulkActions, store: redis.Redis, surehook: Surehook
) -> None:
    event_id = close()

    assert surehook("events", "replay", "--user", USER_ID) == (0, "1 replayed\n")

    ended, started = Audit(store, KEYS).newest()
    (action,) = bulk.newest()
    assert (ended.action, started.action) == ("bulk replay ended", "bulk replay started")
    assert started.target.startswith("closed events: state done or unhandled or completed, user sha256:")
    assert USER_ID not in started.target
    (replay,) = EventLog(store, KEYS, handler_timeout=30).actions(event_id)
    assert (replay.action, replay.who) == ("replayed", action.who)


@pytest.mark.parametrize("act", ["replay", "discard", "reopen", "erase"])
def test_acts_on_many_events_share_the_stores_fsync(
    act: str, die: Close, close: Close, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    """The store syncs its file once for all that it reads at a time."""
    ids = [(close if act == "reopen" else die)() for _ in range(30)]
    letters = list(dead_letters.matching(Filter()))
    acts: dict[str, Callable[[], Any]] = {
        "replay": lambda: sum(dead_letters.replay_many(letters)),
        "discard": lambda: sum(dead_letters.discard_many(letters)),
        "reopen": lambda: sum(EventLog(store, KEYS, handler_timeout=30).replay_many(ids)),
        "erase": lambda: len(list(Erasure(store, KEYS, BodyCipher(), retention_seconds=60).erase_many(ids))),
    }
    before = int(store.info("stats")["total_reads_processed"])

    assert acts[act]() == 30

    assert int(store.info("stats")["total_reads_processed"]) - before < 15


def test_a_long_action_keeps_its_lease_while_it_reads(
    close: Close, bulk: BulkActions, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        close()
    monkeypatch.setattr(bulk_steps, "READ_AT_ONCE", 1)
    monkeypatch.setattr(bulk_run, "RENEW_SECONDS", 0.0)
    action = start(bulk, REPLAY, ALL)
    lapsed: list[bool] = []

    def is_stopping() -> bool:
        """Asked after each page: as if the page had taken so long that the lease lapsed."""
        lapsed.append(bulk.get(action.action_id).state is BulkState.INTERRUPTED)
        lose_lease(store, action)
        return False

    run = BulkRun(bulk, action, is_stopping=is_stopping)

    assert run.run().done == 3
    assert not any(lapsed[1:])
