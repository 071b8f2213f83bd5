"""Handlers with `ordered_by` run one event of a key at a time, in the order of acceptance."""

from typing import Any
from uuid import uuid4

import pytest
import redis

from harness.events import USER_ID
from harness.stack import wait_until
from surehook import Permanent, RetryLater, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import EventLog
from tests.integration.conftest import KEYS, Accept, Erase
from tests.support.ledger import is_balanced
from tests.support.mirror import Mirror, deferred, left

OTHER_USER = str(uuid4())


def test_events_of_a_key_run_one_after_the_other_through_a_retry(
    accept: Accept, run_worker: Any, make_due: Any, store: redis.Redis
) -> None:
    mirror = Mirror(backoff=[60])
    first, second, third = (accept("user.update") for _ in range(3))
    mirror.fails[first] = OSError()

    run_worker(turns=10)

    assert mirror.ran == [first]
    assert deferred(store) == [f"{second}_mirror", f"{third}_mirror"]
    assert is_balanced(store)
    mirror.fails.clear()
    make_due()
    run_worker(turns=10)
    assert mirror.ran == [first, first, second, third]
    assert deferred(store) == left(store) == []
    assert is_balanced(store)


def test_another_key_and_an_event_without_the_key_flow_past_a_blocked_one(
    accept: Accept, run_worker: Any, store: redis.Redis
) -> None:
    mirror = Mirror()
    blocked, waits = accept("user.update"), accept("user.update")
    mirror.fails[blocked] = RetryLater(60)
    other, free = accept("user.update", user={"id": OTHER_USER}), accept("user.update", user=None)

    run_worker(turns=20)

    assert mirror.ran in ([blocked, other, free], [blocked, free, other])
    assert deferred(store) == [f"{waits}_mirror"]


def test_events_that_are_split_in_another_order_run_in_the_order_of_acceptance(
    accept: Accept, claims_of: Any, run_worker: Any
) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    slow = claims_of("slow").claim()

    run_worker(turns=5)

    assert mirror.ran == []  # the first event may be of the same user: its handlers have not been chosen
    assert claims_of("slow").give_back(slow, delay_seconds=0)
    run_worker(turns=10)
    assert mirror.ran == [first, second]


def test_an_event_of_no_handler_with_an_order_holds_up_no_line(accept: Accept, claims_of: Any, run_worker: Any) -> None:
    mirror = Mirror()
    on("group.create", name="groups")(lambda event: None)
    accept("group.create")
    claims_of("slow").claim()
    update = accept("user.update")

    run_worker(turns=3)

    assert mirror.ran == [update]


def test_an_unrouted_event_that_is_erased_holds_up_no_line(
    accept: Accept, claims_of: Any, run_worker: Any, erase: Erase, store: redis.Redis
) -> None:
    mirror = Mirror()
    accept("user.update", user={"id": OTHER_USER})
    slow = claims_of("slow").claim()
    update = accept("user.update")
    run_worker(turns=3)
    assert mirror.ran == []

    erase("--user", OTHER_USER)
    assert not claims_of("slow").give_back(slow, delay_seconds=0)
    run_worker(turns=3)

    assert mirror.ran == [update]
    assert left(store) == []


def test_many_lines_go_on_a_few_at_a_time(
    accept: Accept, claims_of: Any, run_worker: Any, erase: Erase, store: redis.Redis
) -> None:
    mirror = Mirror()
    accept("user.update", user={"id": OTHER_USER})
    slow = claims_of("slow").claim()
    waiting = {accept("user.update", user={"id": str(uuid4())}) for _ in range(150)}
    run_worker(turns=150)
    assert store.zcard(KEYS.waiting_lines) == 150

    erase("--user", OTHER_USER)
    claims_of("slow").give_back(slow, delay_seconds=0)

    assert store.zcard(KEYS.waiting_lines) == 100  # the store answers others in between
    run_worker(turns=160)
    assert set(mirror.ran) == waiting
    assert left(store) == []


def test_a_blocked_key_keeps_no_thread_from_others(
    accept: Accept, open_worker_harness: Any, store: redis.Redis
) -> None:
    mirror = Mirror()
    blocked = accept("user.update")
    mirror.fails[blocked] = RetryLater(600)
    for _ in range(200):
        accept("user.update")
    others = {accept("user.update", user={"id": str(uuid4())}) for _ in range(20)}

    open_worker_harness(threads=2).start()

    wait_until(lambda: set(mirror.ran) == {blocked, *others}, "the others run")
    wait_until(lambda: len(deferred(store)) == 200, "the rest waits")
    assert store.llen("rq:queue:events") == 0


def test_an_older_change_that_comes_late_is_skipped(
    accept: Accept, run_worker: Any, counts: Any, erase: Erase, store: redis.Redis
) -> None:
    mirror = Mirror(latest_only=True)
    new, old = ({"id": USER_ID, "lastUpdateInstant": instant} for instant in (2000, 1000))
    newest = accept("user.update", user=new)
    accept("user.update", user=old)
    equal = accept("user.update", user=new)

    run_worker(turns=20)

    assert mirror.ran == [newest, equal]
    assert [outcome for _, outcome in counts.runs] == ["done", "outdated", "done"]
    assert [key.split(":")[1] for key in left(store)] == ["latest"]
    assert 0 < store.ttl(left(store)[0]) <= 3600
    erase()
    assert left(store) == []


def test_a_change_that_failed_makes_no_other_outdated(
    accept: Accept, run_worker: Any, dead_letters: DeadLetters
) -> None:
    mirror = Mirror(latest_only=True, on_dead="skip")
    newest, old = (
        accept("user.update", user={"id": USER_ID, "lastUpdateInstant": instant}) for instant in (2000, 1000)
    )
    mirror.fails[newest] = Permanent()

    run_worker(turns=20)

    assert mirror.ran == [newest, old]


def test_an_event_without_a_change_is_done_and_says_so(
    accept: Accept, run_worker: Any, counts: Any, store: redis.Redis
) -> None:
    ran: list[str] = []
    on("user.update", name="mail", changed=("email",))(lambda event: ran.append(str(event.id)))
    accept("user.update", user={"email": "a@b.c"}, original={"email": "a@b.c"})
    changed = accept("user.update", user={"email": "a@b.c"}, original={"email": "d@e.f"})

    run_worker(turns=5)

    assert ran == [changed]
    assert [outcome for _, outcome in counts.runs] == ["unchanged", "done"]
    assert is_balanced(store)


@pytest.mark.parametrize("release", ["replay", "discard", "erase"])
def test_a_dead_letter_holds_its_line_until_a_person_decides(
    accept: Accept, run_worker: Any, dead_letters: DeadLetters, erase: Erase, store: redis.Redis, release: str
) -> None:
    mirror = Mirror(ordered_by="tenant")
    first, second = accept("user.update", user={"id": OTHER_USER}), accept("user.update")
    mirror.fails[first] = Permanent()
    run_worker(turns=10)
    assert mirror.ran == [first]
    (letter,) = dead_letters.matching(Filter())

    mirror.fails.clear()
    if release == "erase":
        erase("--user", OTHER_USER)
    else:
        assert getattr(dead_letters, release)(letter)
    run_worker(turns=10)

    assert mirror.ran == ([first, first, second] if release == "replay" else [first, second])
    assert deferred(store) == left(store) == []
    assert is_balanced(store)


def test_a_dead_letter_can_be_skipped_and_takes_its_place_again_when_it_is_replayed(
    accept: Accept, run_worker: Any, dead_letters: DeadLetters, claims_of: Any, store: redis.Redis
) -> None:
    mirror = Mirror(on_dead="skip")
    first, second, third = (accept("user.update") for _ in range(3))
    mirror.fails |= {first: Permanent(), second: RetryLater(60)}

    run_worker(turns=10)
    assert mirror.ran == [first, second]

    (letter,) = dead_letters.matching(Filter())
    assert dead_letters.replay(letter)
    assert deferred(store) == [f"{third}_mirror", f"{first}_mirror"]
    mirror.fails.clear()
    store.zadd("rq:scheduled:events", {f"{second}_mirror": 0})
    claims_of().promote_due()
    run_worker(turns=10)
    assert mirror.ran == [first, second, second, first, third]
    assert left(store) == []


def test_a_replayed_event_runs_at_the_end_of_its_line(
    accept: Accept, run_worker: Any, store: redis.Redis, make_due: Any
) -> None:
    mirror = Mirror()
    first = accept("user.update")
    run_worker(turns=5)
    second, third = accept("user.update"), accept("user.update")
    mirror.fails[second] = RetryLater(60)
    run_worker(turns=5)

    assert EventLog(store, KEYS, handler_timeout=30).replay(first)
    run_worker(turns=5)
    mirror.fails.clear()
    make_due()
    run_worker(turns=10)

    assert mirror.ran == [first, second, second, third, first]
    assert is_balanced(store)
