"""Dead letters are grouped by how they failed, and a group can be listed, replayed and discarded."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis

from surehook import Event, Permanent, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.failure_groups import NOT_GROUPED, FailureGroups
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.minutes import MinuteWriter
from surehook.workers.queue.claims import ClaimState
from tests.integration.conftest import KEYS, Accept
from tests.support.command import Surehook
from tests.support.dead_letters import counts, die, groups, surehook
from tests.support.order_machine import an_attempt

__all__ = ["die", "groups", "surehook"]  # fixtures

MOST_GROUPS = 1000


def test_dead_letters_of_a_handler_that_failed_in_the_same_way_are_one_group(
    accept: Accept, run_worker: Any, groups: FailureGroups, dead_letters: DeadLetters
) -> None:
    @on("user.*", name="welcome")
    def welcome(event: Event) -> None:
        if event.type == "user.create":
            raise Permanent(f"no row {uuid4()} for {event['user'].email}")
        raise Permanent(f"HTTP {404 if event.type == 'user.delete' else 500}")

    ids = [accept("user.create"), accept("user.create"), accept("user.delete"), accept("user.update")]
    run_worker(turns=4)

    found = groups.read()
    assert [(group.count, group.total, group.handler) for group in found] == [
        (2, 2, "welcome"),
        *[(1, 1, "welcome")] * 2,
    ]
    assert found[0].error == "Permanent: no row … for ***"
    assert {group.error for group in found[1:]} == {"Permanent: HTTP 404", "Permanent: HTTP 500"}
    assert {group.frame for group in found} == {"test_failure_groups.py, welcome"}
    assert found[0].sample in ids[:2]
    assert found[0].first_seen is not None
    assert found[0].last_seen is not None
    assert found[0].first_seen <= found[0].last_seen
    mine = dead_letters.matching(Filter(group_id=found[0].group_id))
    assert {letter.event_id for letter in mine} == set(ids[:2]) == set(groups.event_ids(found[0].group_id))


def test_a_replayed_letter_that_fails_again_returns_to_its_group(
    die: Any, dead_letters: DeadLetters, groups: FailureGroups, claims_of: Any
) -> None:
    die()
    (before,) = groups.read()
    (letter,) = dead_letters.matching(Filter())

    assert dead_letters.replay(letter)
    assert groups.read() == []
    claims_of().bury(claims_of().claim(), an_attempt("it")._replace(error="ValueError: no plan"), "")

    (after,) = groups.read()
    assert (after.group_id, after.count, after.total) == (before.group_id, 1, 2)


def test_the_groups_of_two_handlers_are_two(die: Any, groups: FailureGroups) -> None:
    die(handler="one")
    die(handler="two")

    assert sorted(counts(groups)) == [("one", "ValueError: no plan", 1), ("two", "ValueError: no plan", 1)]
    assert [group.handler for group in groups.read(handler="two")] == ["two"]


def test_a_process_that_dies_with_a_handler_makes_a_group(
    accept: Accept, claims_of: Any, groups: FailureGroups
) -> None:
    accept()
    claims = claims_of()
    for _ in range(3):
        claims.interrupt(
            claims.claim().key,
            an_attempt("it")._replace(error="the process died"),
            state=ClaimState.STARTED,
            counts=True,
        )

    assert [(group.handler, group.error, group.count) for group in groups.read()] == [("it", "the process died", 1)]


def test_the_groups_of_a_handler_are_bounded(die: Any, groups: FailureGroups, store: redis.Redis) -> None:
    store.zadd(KEYS.groups("it"), {f"{number:09x}": 1 for number in range(MOST_GROUPS)})
    store.sadd(KEYS.group_handlers, "it")
    store.zadd("rq:failed:events", {f"{number:036}": 100_000_000_000 + number for number in range(MOST_GROUPS)})
    store.sadd(KEYS.queues, "events")

    die("E: one more")
    die("E: another one")

    assert store.zcard(KEYS.groups("it")) == MOST_GROUPS + 1
    assert ("it", "(other errors)", 2) in counts(groups)
    store.zrem("rq:failed:events", f"{3:036}")
    die("E: yet another one")
    assert ("it", "E: yet another one", 1) in counts(groups)
    assert store.zcard(KEYS.groups("it")) == MOST_GROUPS + 1


def test_a_group_without_letters_is_forgotten_after_the_retention(
    die: Any, groups: FailureGroups, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    die("E: gone")
    dead_letters.discard(next(dead_letters.matching(Filter())), reason="not needed")
    die("E: stays")

    Script("forget_groups", KEYS).run(store, 3600, 1000)
    assert len(groups.read(with_empty=True)) == 2
    Script("forget_groups", KEYS).run(store, 0, 1000)

    assert [group.error for group in groups.read(with_empty=True)] == ["E: stays"]


def test_a_letter_that_was_put_into_the_registry_by_hand_gets_a_group_with_the_next_sweep(
    die: Any, groups: FailureGroups, store: redis.Redis, look: Callable[[], list[str]]
) -> None:
    event_id = die()
    store.zadd("rq:failed:events", {event_id: "+inf"})
    (group,) = groups.read()
    assert (group.group_id, group.count, group.sample) == (NOT_GROUPED, 1, event_id)

    look()

    assert [(group.error, group.count) for group in groups.read()] == [("(how it failed is not known)", 1)]


def test_a_letter_whose_record_was_deleted_by_hand_leaves_with_the_next_sweep(
    die: Any, groups: FailureGroups, store: redis.Redis, look: Callable[[], list[str]]
) -> None:
    store.delete(KEYS.event(die()))

    look()

    assert groups.read() == []
    assert not store.exists("rq:failed:events")


def test_a_group_says_when_the_handlers_code_has_changed_since(
    die: Any, groups: FailureGroups, store: redis.Redis, surehook: Surehook
) -> None:
    @on("user.*", name="it")
    def handle(event: Event) -> None: ...

    def announce() -> None:
        MinuteWriter(store, KEYS, Registry(registry_module.declared), Any, handler_timeout=30)._announce()  # type: ignore[arg-type]  # noqa: SLF001

    (handler,) = registry_module.declared
    assert handler.code
    die(code=handler.code)
    announce()
    assert [group.is_before_change for group in groups.read()] == [False]

    store.hset(KEYS.handlers, "it", json.dumps({"code": "another"}))

    assert [group.is_before_change for group in groups.read()] == [True]
    assert "not seen since the code changed" in surehook("dead-letters", "groups")[1]
    die(code="another")
    assert [group.is_before_change for group in groups.read()] == [False]


def test_the_metrics_count_the_groups_with_dead_letters(
    die: Any, groups: FailureGroups, dead_letters: DeadLetters, store: redis.Redis, settings: Settings
) -> None:
    def shown() -> float:
        (metric,) = [each for each in StoreGauges(settings).collect() if each.name == "surehook_failure_groups"]
        return float(metric.samples[0].value)

    assert shown() == 0
    for error in ("ValueError: no plan", "ValueError: no plan", "OSError: away"):
        die(error=error)
    store.zadd("rq:failed:events", {"another application's job": 1_800_000_000})
    assert shown() == len([group for group in groups.read() if group.group_id != NOT_GROUPED]) == 2

    dead_letters.discard_many([each for each in dead_letters.matching(Filter()) if each.error.startswith("OSError")])

    assert shown() == 1
