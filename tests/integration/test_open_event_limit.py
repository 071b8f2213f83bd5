"""The limit of waiting events, as the accept script keeps it, and dead letters beside them."""

from typing import Any

import pytest
import redis

from harness.events import a_body, an_event
from surehook import Event, Permanent, on
from surehook.shared.envelope import parse_envelope
from surehook.shared.job_id import packed_id
from surehook.shared.scripts import Script
from surehook.shared.stats import StatsReader
from tests.integration.conftest import KEYS, Accept
from tests.support.transactions import Protocol

ACCEPTED, NO_ROOM = 1, -1


def test_a_batch_is_stored_up_to_the_limit_and_its_duplicates_are_known(store: redis.Redis) -> None:
    script, events = Script("accept", KEYS), [parse_envelope(a_body(an_event())) for _ in range(4)]
    first, second, third, fourth = (
        (each.event_id, each.event_type, "", "", "", "webhook", each.body, "events", "30", "", packed_id(each.event_id))
        for each in events
    )

    assert script.run(store, *first, *second, *third, 2) == [1, 1, -1]
    assert script.run(store, *second, *fourth, 2) == [0, -1]

    stats = StatsReader(store, KEYS).read()
    assert (stats.accepted, stats.open, stats.drift) == (2, 2, 0)


def accept_one(store: redis.Redis, limit: int) -> int:
    event = parse_envelope(a_body(an_event()))
    fields = (event.event_id, event.event_type, "", "", "", "webhook", event.body, "events", "30", "")
    (outcome,) = Script("accept", KEYS).run(store, *fields, packed_id(event.event_id), limit)
    return int(outcome)


def fail(event: Event) -> None:
    raise Permanent


def succeed(event: Event) -> None: ...


@pytest.mark.parametrize("handlers", [1, 3], ids=["one handler", "several handlers"])
def test_dead_letters_take_no_room_from_events_that_wait(
    store: redis.Redis, run_worker: Any, accept: Accept, handlers: int
) -> None:
    for number in range(handlers):
        on("user.delete", name=f"fails-{number}")(fail)
    for _ in range(3):
        accept()
    run_worker(turns=9 + 3)
    assert len(store.zrange("rq:failed:events", 0, -1)) == 3 * handlers

    assert [accept_one(store, 3) for _ in range(4)] == [ACCEPTED, ACCEPTED, ACCEPTED, NO_ROOM]


def test_an_event_with_a_dead_letter_and_a_waiting_job_still_waits(
    store: redis.Redis, run_worker: Any, accept: Accept
) -> None:
    on("user.delete", name="fails")(fail)
    on("user.delete", name="waits", queue="slow")(succeed)
    accept()
    accept()
    run_worker(turns=4)
    assert (store.zcard("rq:failed:events"), store.llen("rq:queue:slow")) == (2, 2)

    assert accept_one(store, 2) == NO_ROOM
    run_worker(turns=2, queue="slow")
    assert accept_one(store, 2) == ACCEPTED


def test_dead_letters_beyond_the_limit_count_as_events_that_wait(
    store: redis.Redis, run_worker: Any, accept: Accept
) -> None:
    on("user.delete", name="fails")(fail)
    for _ in range(4):
        accept()
    run_worker(turns=4)

    assert [accept_one(store, 3) for _ in range(3)] == [ACCEPTED, ACCEPTED, NO_ROOM]
    assert store.zcard(KEYS.open) == 2 * 3


def test_a_transaction_is_submitted_beside_as_many_dead_letters(
    store: redis.Redis, run_worker: Any, accept: Accept, protocol: Protocol
) -> None:
    on("user.delete", name="fails")(fail)
    accept()
    run_worker()
    protocol.beat("worker")

    assert [protocol.submit(an_event()["id"], "endpoint", max_backlog=1).state for _ in range(2)] == [
        "waiting",
        "backlog",
    ]
