"""The circuit breaker of a handler's own queue: an outage costs no retries and no dead letters."""

from typing import Any

import pytest
import redis

from surehook.shared.limits import Limits
from surehook.shared.scripts import texts
from tests.integration.conftest import KEYS
from tests.integration.test_leases import let_lapse, recover
from tests.support.ledger import is_balanced, ledger
from tests.support.limited import QUEUE, LimitedWorker, StoreClock, clock, leases, put

__all__ = ["clock", "put"]  # fixtures of tests.support

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.fixture
def worker(store: redis.Redis, clock: StoreClock) -> LimitedWorker:
    return LimitedWorker(store, "w", Limits())


def spent(store: redis.Redis) -> set[int]:
    return {int(store.hget(key, "spent:it") or 0) for key in store.scan_iter("surehook:event:*")}


def is_open(store: redis.Redis) -> bool:
    return bool(store.hexists(KEYS.limits(QUEUE), "open_since"))


def run(worker: LimitedWorker, clock: StoreClock, verdict: str | int, count: int, retries: int = 8) -> str:
    """Run the next `count` jobs, one a second, and return the letters of their results."""
    letters = ""
    for _ in range(count):
        clock.advance(1000)
        worker.claims.promote_due()
        for claim in worker.claim():
            letters += worker.end(claim, verdict, retries)
    return letters


@pytest.mark.parametrize("retries", [0, 8])
def test_it_opens_after_twenty_failures_in_a_row_and_takes_them_back(
    retries: int, put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(50)
    assert run(worker, clock, "good", 25) == "d" * 25  # so that the last minute alone does not open it
    letters = run(worker, clock, "bad", 60, retries)

    assert letters.count("o") == 1
    assert is_open(store)
    assert store.zcard(f"rq:failed:{QUEUE}") == 0
    assert spent(store) == {0}
    assert is_balanced(store)


def test_ten_runs_of_which_seven_failed_open_it(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(12)

    assert run(worker, clock, "good", 3) + run(worker, clock, "bad", 7, retries=0) == "ddd" + "dddddd" + "o"
    assert store.zcard(f"rq:failed:{QUEUE}") == 0


def test_failures_of_more_than_a_minute_ago_do_not_count(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(20)
    run(worker, clock, "bad", 6, retries=0)
    run(worker, clock, "good", 1)
    clock.advance(2 * MINUTE_MS)

    assert set(run(worker, clock, "good", 2) + run(worker, clock, "bad", 3, retries=0)) == {"d"}
    assert not is_open(store)
    assert store.zcard(f"rq:failed:{QUEUE}") == 9


def test_nine_failures_alone_are_no_outage(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(1)

    letters = ""
    while store.zcard(f"rq:failed:{QUEUE}") == 0:
        clock.advance(HOUR_MS)
        letters += run(worker, clock, "bad", 1)

    assert letters == "d" * 9
    assert ledger(store)["open"] == 1


def test_while_it_is_open_one_probe_runs_at_growing_intervals(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(30)
    run(worker, clock, "bad", 10)
    assert is_open(store)
    waits = []

    for _ in range(9):
        assert worker.claim(8) == ()
        waits.append(worker.told.wait_seconds)
        clock.advance(1000 * (worker.told.wait_seconds or 0))
        (probe,) = worker.claim(8)
        assert worker.claim(8) == ()
        worker.end(probe, "bad", retries=0)

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert spent(store) == {0}
    assert store.zcard(f"rq:failed:{QUEUE}") == 0


def test_each_probe_is_another_event(put: Any, worker: LimitedWorker, clock: StoreClock) -> None:
    put(12)
    run(worker, clock, "bad", 10)
    probes = []

    for _ in range(12):
        clock.advance(5 * MINUTE_MS)
        (probe,) = worker.claim()
        probes.append(probe.event_id)
        worker.end(probe, "bad")

    assert len(set(probes)) == 12


@pytest.mark.parametrize("verdict", ["neither", 1000])
def test_an_answer_that_is_no_success_neither_opens_nor_closes_it(
    verdict: Any, put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(40)
    run(worker, clock, verdict, 25)
    assert not is_open(store)
    clock.advance(HOUR_MS)
    worker.claims.promote_due()
    run(worker, clock, "bad", 10)
    clock.advance(HOUR_MS)

    assert run(worker, clock, verdict, 1) == "d"
    assert is_open(store)


def test_the_success_of_one_probe_ends_it_and_every_job_runs_again(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(25)
    run(worker, clock, "bad", 10, retries=0)
    clock.advance(5000)

    assert run(worker, clock, "good", 1) == "c"

    assert not is_open(store)
    assert len(worker.claim(50)) == 24


def test_a_success_that_began_before_it_opened_does_not_close_it(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(30)
    (slow,) = worker.claim()
    run(worker, clock, "bad", 10)
    assert is_open(store)

    assert worker.end(slow, "good") == "d"

    assert is_open(store)


def test_a_probe_whose_process_dies_is_followed_by_another(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis, claims_of: Any
) -> None:
    put(30)
    run(worker, clock, "bad", 10)
    clock.advance(5000)
    (probe,) = worker.claim()
    clock.advance(MINUTE_MS)
    assert worker.claim() == ()
    let_lapse(store, probe)
    recover(claims_of("parent", QUEUE), store)

    assert len(worker.claim(8)) == 1
    assert leases(store) == 1


def test_an_outage_of_two_days_costs_no_retry_and_no_dead_letter(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis
) -> None:
    put(40)
    began, probes = clock.now, 0

    while clock.now < began + 48 * HOUR_MS:
        worker.claims.promote_due()
        claims = worker.claim(4)
        for claim in claims:
            clock.advance(200)
            worker.end(claim, "bad", retries=1)
        probes += is_open(store) and len(claims)
        clock.advance(1000 * (worker.told.wait_seconds or 1))
        if not claims:
            clock.advance(10 * MINUTE_MS)

    assert is_open(store)
    assert 200 < probes < 48 * 60 / 5 + 20
    assert store.zcard(f"rq:failed:{QUEUE}") == 0
    assert spent(store) == {0}
    clock.advance(5 * MINUTE_MS)
    letters = run(worker, clock, "good", 60)
    assert letters == "c" + "d" * 39
    assert ledger(store) == {"open": 0, "accepted": 40, "done": 40}
    assert is_balanced(store)


def test_what_an_operator_did_in_between_is_not_undone(
    put: Any, worker: LimitedWorker, clock: StoreClock, store: redis.Redis, dead_letters: Any
) -> None:
    from surehook.admin.dead_letters import Filter

    put(12)
    run(worker, clock, "good", 1)
    run(worker, clock, "bad", 5, retries=0)
    discarded, *others = list(dead_letters.matching(Filter()))
    dead_letters.discard(discarded)

    run(worker, clock, "bad", 6, retries=0)

    assert is_open(store)
    assert len(others) == 4
    assert store.zcard(f"rq:failed:{QUEUE}") == 0
    assert ledger(store) == {"open": 10, "accepted": 12, "done": 1, "discarded": 1}
    waiting = texts(store.lrange(f"rq:queue:{QUEUE}", 0, -1))
    assert discarded.job_id not in waiting
    assert len(waiting) == 10
    assert is_balanced(store)
