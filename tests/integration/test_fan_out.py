from typing import Any
from uuid import uuid4

import redis

from harness.events import TENANT_ID, USER_ID
from surehook import Event, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.scripts import texts
from tests.integration.conftest import KEYS, Accept
from tests.support.ledger import is_balanced, ledger


def test_each_handler_has_a_job_and_retries_of_its_own(
    accept: Accept, run_worker: Any, store: redis.Redis, dead_letters: DeadLetters, make_due: Any
) -> None:
    ran: list[str] = []

    @on("user.delete", name="works")
    def works(event: Event) -> None:
        ran.append("works")

    @on("user.*", name="fails", retries=1, backoff=[0])
    def fails(event: Event) -> None:
        ran.append("fails")
        raise OSError

    event_id = accept()
    run_worker(turns=3)
    make_due()
    run_worker()

    assert ran == ["works", "fails", "fails"]
    assert [letter.job_id for letter in dead_letters.matching(Filter())] == [f"{event_id}_fails"]
    assert ledger(store) == {"open": 1, "accepted": 1}
    assert is_balanced(store)


def test_the_event_closes_with_its_last_handler(accept: Accept, run_worker: Any, store: redis.Redis) -> None:
    for name in ("one", "two", "three"):
        on("user.delete", name=name)(lambda event: None)

    event_id = accept()
    run_worker(turns=3)

    assert store.zscore(KEYS.open, event_id) is not None
    run_worker()
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_a_handler_for_an_application_runs_for_an_event_that_names_several(accept: Accept, run_worker: Any) -> None:
    ran: list[str] = []
    for name, application in (("ours", USER_ID), ("others", TENANT_ID)):
        on("user.action", name=name, application=application)(lambda event, name=name: ran.append(name))

    accept("user.action", applicationIds=[str(uuid4()), USER_ID])
    run_worker(turns=2)

    assert ran == ["ours"]


def test_a_handler_waits_on_its_own_queue(accept: Accept, run_worker: Any) -> None:
    ran: list[str] = []

    @on("user.delete", name="slow", queue="slow-things")
    def slow(event: Event) -> None:
        ran.append("slow")

    accept()
    run_worker()
    assert ran == []
    run_worker(queue="slow-things")

    assert ran == ["slow"]


def test_the_body_is_stored_once(accept: Accept, run_worker: Any, store: redis.Redis) -> None:
    mark = "a-mark-that-stands-nowhere-else"
    for name in ("one", "two"):
        on("user.delete", name=name)(lambda event: None)

    event_id = accept(user={"data": mark})
    run_worker()

    hashes = [key for key in store.scan_iter() if store.type(key) == b"hash"]
    holders = [key for key in hashes if mark in " ".join(texts(store.hgetall(key).values()))]
    assert holders == [KEYS.event(event_id).encode()]


def test_fanning_out_twice_changes_nothing(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    accept()
    claim = claims_of().claim()
    parts = [("one", "events", 30.0), ("two", "events", 30.0)]

    assert claims_of().fan_out(claim, parts)
    assert not claims_of().fan_out(claim, parts)

    assert not store.exists(f"rq:job:{claim.job_id}")
    assert store.lrange("rq:queue:events", 0, -1) == [f"{claim.job_id}_one".encode(), f"{claim.job_id}_two".encode()]


def test_a_job_for_a_handler_we_do_not_have_is_given_back_uncounted(
    accept: Accept, claims_of: Any, run_worker: Any, make_due: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [("elsewhere", "events", 30.0)])

    run_worker()

    assert store.zcard("rq:scheduled:events") == 1
    assert store.hget(KEYS.event(event_id), "runs:elsewhere") == b"0"
    make_due()
    assert store.llen("rq:queue:events") == 1


def test_a_discarded_part_closes_the_event_as_discarded(
    accept: Accept, claims_of: Any, run_worker: Any, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    @on("user.delete", name="fails", retries=0)
    def fails(event: Event) -> None:
        raise OSError

    on("user.delete", name="works")(lambda event: None)
    accept()
    run_worker(turns=3)

    (letter,) = dead_letters.matching(Filter())
    assert dead_letters.discard(letter)

    assert ledger(store) == {"open": 0, "accepted": 1, "discarded": 1}
    assert not dead_letters.discard(letter)
