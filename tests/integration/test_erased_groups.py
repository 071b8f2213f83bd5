"""An erased event takes the words of its errors out of its failure groups with it."""

from typing import Any

import redis

from surehook import Event, Permanent, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.failure_groups import FailureGroups
from tests.integration.conftest import KEYS, Accept, Erase
from tests.support.command import Surehook
from tests.support.dead_letters import die, groups, surehook
from tests.support.order_machine import an_attempt

__all__ = ["die", "groups", "surehook"]  # fixtures


def test_an_erased_event_leaves_its_group_and_takes_the_last_words_with_it(
    die: Any, groups: FailureGroups, erase: Erase, store: redis.Redis
) -> None:
    one, other = die("E: Bob is unknown"), die("E: Bob is unknown")
    (group,) = groups.read()

    erase(one)
    assert [(each.group_id, each.count) for each in groups.read()] == [(group.group_id, 1)]
    erase(other)

    assert groups.read(with_empty=True) == []
    assert not store.exists(KEYS.group(group.group_id))


def test_an_event_that_was_replayed_and_is_erased_takes_the_words_with_it_too(
    die: Any, groups: FailureGroups, erase: Erase, dead_letters: DeadLetters, claims_of: Any
) -> None:
    event_id = die("E: Bob is unknown")
    dead_letters.replay(next(dead_letters.matching(Filter())))
    claims_of().finish(claims_of().claim(), "done", an_attempt("it"))
    assert len(groups.read(with_empty=True)) == 1

    erase(event_id)

    assert groups.read(with_empty=True) == []


def test_an_event_that_failed_in_several_ways_and_is_erased_takes_all_the_words_with_it(
    die: Any, groups: FailureGroups, erase: Erase, dead_letters: DeadLetters, claims_of: Any, store: redis.Redis
) -> None:
    event_id = die("E: Bob is unknown")
    for number in range(60):
        dead_letters.replay(next(dead_letters.matching(Filter())))
        error = f"E: Bob is {chr(ord('a') + number % 26) * (1 + number // 26)}"
        claims_of().bury(claims_of().claim(), an_attempt("it")._replace(error=error), "")
    kept = store.hget(KEYS.event(event_id), "group:")
    assert isinstance(kept, bytes)
    assert len(kept) < 600

    erase(event_id)

    assert groups.read(with_empty=True) == []


def test_an_event_that_runs_again_and_is_erased_takes_the_words_of_its_former_handlers_with_it(
    accept: Accept, run_worker: Any, surehook: Surehook, groups: FailureGroups, erase: Erase
) -> None:
    for name in ("one", "other"):

        @on("user.*", name=name)
        def handle(event: Event) -> None:
            raise Permanent("Bob is unknown")

    event_id = accept()
    run_worker(turns=3)
    assert {group.handler for group in groups.read()} == {"one", "other"}
    assert surehook("dead-letters", "discard", "--all", "--reason", "old")[0] == 0
    assert surehook("events", "replay", event_id)[0] == 0

    erase(event_id)

    assert groups.read(with_empty=True) == []
