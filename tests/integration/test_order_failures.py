"""The order holds when key functions fail, handlers change, processes die, and RQ's tools or people touch the store."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from surehook import Event, Permanent, RetryLater, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.scripts import Script
from surehook.workers.execution import order_keys
from surehook.workers.handlers import registry as registry_module
from surehook.workers.queue.claims import ClaimState
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt
from tests.support.mirror import Mirror, deferred, left

Look = Callable[[], list[str]]


def test_a_key_function_that_fails_is_a_failed_run(
    accept: Accept, run_worker: Any, dead_letters: DeadLetters, counts: Any
) -> None:
    mirror = Mirror(ordered_by=lambda event: event.nothing_of_this_name.id, retries=0)
    accept("user.update")

    run_worker(turns=5)

    assert mirror.ran == []
    assert [letter.error for letter in dead_letters.matching(Filter())] != []
    assert counts.runs == [("mirror", "dead letter")]


def test_a_key_function_that_hangs_is_a_timeout(
    accept: Accept, run_worker: Any, counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_keys, "KEY_SECONDS", 0.2)

    def hang(event: Event) -> str:
        while True:
            pass

    Mirror(ordered_by=hang)
    accept("user.update")

    run_worker(turns=2)

    assert counts.runs == [("mirror", "timed out")]


def test_a_late_key_takes_its_place_by_acceptance(
    accept: Accept, run_worker: Any, make_due: Any, claims_of: Any, store: redis.Redis
) -> None:
    broken: list[str] = []

    def by_user(event: Event) -> str:
        if str(event.id) in broken:
            raise OSError
        return "one"

    mirror = Mirror(ordered_by=by_user)
    first, second, third = (accept("user.update") for _ in range(3))
    broken.append(second)
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=10)
    assert deferred(store) == [f"{third}_mirror"]

    broken.clear()
    mirror.fails.clear()
    store.zadd("rq:scheduled:events", {f"{second}_mirror": 0})
    claims_of().promote_due()
    run_worker(turns=2)
    make_due()
    run_worker(turns=10)

    assert mirror.ran == [first, first, second, third]


def test_lines_drain_when_the_order_is_taken_off_a_handler(accept: Accept, run_worker: Any, store: redis.Redis) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    run_worker(turns=2)
    registry_module.declared.clear()
    on("user.*", name="mirror")(mirror.run)

    third = accept("user.update")
    run_worker(turns=10)

    assert sorted(mirror.ran) == sorted([first, second, third])
    assert deferred(store) == left(store) == []


def test_jobs_from_before_the_order_take_their_places(accept: Accept, run_worker: Any, make_due: Any) -> None:
    mirror = Mirror(ordered_by=None, backoff=[60])
    first = accept("user.update")
    mirror.fails[first] = OSError()
    run_worker(turns=1)
    registry_module.declared.clear()
    on("user.*", name="mirror", ordered_by="user")(mirror.run)
    mirror.fails.clear()

    make_due()
    second = accept("user.update")
    run_worker(turns=10)

    assert mirror.ran == [first, first, second]


@pytest.mark.parametrize("out_of_turn", ["requeued", "deleted"])
def test_rq_tools_cannot_run_a_job_out_of_turn(
    accept: Accept, run_worker: Any, store: redis.Redis, look: Look, out_of_turn: str, make_due: Any
) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=5)
    store.zrem("rq:deferred:events", f"{second}_mirror")
    if out_of_turn == "requeued":
        store.rpush("rq:queue:events", f"{second}_mirror")
    else:
        store.delete(f"rq:job:{second}_mirror")
        look()

    run_worker(turns=5)

    assert mirror.ran == [first]
    assert deferred(store) == [f"{second}_mirror"]
    mirror.fails.clear()
    make_due()
    run_worker(turns=5)
    assert mirror.ran == [first, first, second]


@pytest.mark.parametrize("lost", ["line", "turn", "record"])
def test_a_line_whose_state_was_deleted_goes_on(
    accept: Accept, run_worker: Any, store: redis.Redis, look: Look, lost: str
) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=5)
    (line,) = left(store)
    if lost == "line":
        store.delete(line)
    elif lost == "turn":
        store.zrem(line, f"{first}_mirror")
    else:
        store.delete(KEYS.event(first))
        store.zrem(KEYS.open, first)

    look()
    run_worker(turns=5)

    assert mirror.ran == [first, second]


def test_a_job_whose_place_was_deleted_gets_it_again(
    accept: Accept, run_worker: Any, store: redis.Redis, look: Look, make_due: Any
) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=5)
    store.hdel(KEYS.event(second), "line:mirror")

    look()
    run_worker(turns=5)
    assert deferred(store) == [f"{second}_mirror"]
    mirror.fails.clear()
    make_due()
    run_worker(turns=5)

    assert mirror.ran == [first, first, second]


def test_an_event_that_kills_its_process_while_it_is_routed_holds_up_no_line(
    accept: Accept, run_worker: Any, claims_of: Any
) -> None:
    mirror = Mirror()
    accept("user.update")
    for _ in range(3):
        claim = claims_of("dies").claim()
        assert claim.handler_name == ""
        outcome = claims_of().interrupt(claim.key, an_attempt(), state=ClaimState.STARTED, counts=True)
    assert outcome == "buried"
    second = accept("user.update")

    run_worker(turns=5)

    assert mirror.ran == [second]


def test_a_dead_process_keeps_the_turn(accept: Accept, run_worker: Any, claims_of: Any) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    run_worker(turns=2)
    claim = claims_of("dies").claim()
    assert claim.job_id == f"{first}_mirror"

    run_worker(turns=3)
    assert mirror.ran == []
    assert claims_of().interrupt(claim.key, an_attempt(), state=ClaimState.STARTED, counts=True) == "requeued"
    run_worker(turns=5)

    assert mirror.ran == [first, second]


def test_the_sweep_leaves_a_job_alone_whose_turn_came_after_it_read_the_deferred_ones(
    accept: Accept, run_worker: Any, store: redis.Redis
) -> None:
    mirror = Mirror()
    first = accept("user.update")
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=5)

    assert Script("sweep_order", KEYS).run(store, "events", f"{first}_mirror") == 0

    assert store.llen("rq:queue:events") == 0


@pytest.mark.parametrize("score", ["1", "-inf"], ids=["waits in its line", "has the turn"])
def test_a_skipped_dead_letter_that_is_in_its_line_by_mistake_holds_it_for_no_longer_than_a_sweep(
    score: str, accept: Accept, run_worker: Any, make_due: Any, store: redis.Redis, look: Look
) -> None:
    mirror = Mirror(on_dead="skip")
    first, second, third = (accept("user.update") for _ in range(3))
    mirror.fails |= {first: Permanent(), second: RetryLater(60)}
    run_worker(turns=10)
    (line,) = left(store)
    store.zadd(line, {f"{first}_mirror": score})

    mirror.fails.clear()
    make_due()
    run_worker(turns=10)
    look()
    run_worker(turns=10)

    assert mirror.ran == [first, second, second, third]
    assert left(store) == []
