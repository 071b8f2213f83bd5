"""Limits of a handler's own queue: exact over all processes, whatever happens to them."""

from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surehook.shared.limits import Limits
from surehook.shared.scripts import texts
from surehook.workers.claim import Claim
from surehook.workers.maintenance.limited_queues import LimitedQueues
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt, let_lapse, recover
from tests.support.ledger import is_balanced, ledger
from tests.support.limited import QUEUE, LimitedWorker, StoreClock, clock, leases, move_all, put

__all__ = ["clock", "put"]  # fixtures of tests.support

NO_BREAKER = Limits(has_breaker=False)
PERIOD_MS = 1000


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which worker
        st.sampled_from(["claim", "claim", "finish", "fail", "give back", "die", "later", "limit"]),
        st.integers(1, 5),
    ),
    min_size=5,
    max_size=25,
)


class Runs:
    """Three processes on a queue with a limit, and what must be true of them."""

    def __init__(self, store: redis.Redis, claims_of: Any, concurrency: int) -> None:
        self.store, self.claims_of, self.limit = store, claims_of, concurrency
        self.workers = [LimitedWorker(store, f"w{each}", Limits(concurrency, has_breaker=False)) for each in range(3)]
        self.held: list[Claim] = []

    def claim(self, worker: LimitedWorker, count: int) -> None:
        free = max(0, self.limit - len(self.held))
        claims = worker.claim(count)
        possible = min(count, free, len(claims) + self.store.llen(f"rq:queue:{QUEUE}"))
        assert min(possible, 1) <= len(claims) <= possible  # an interrupted job comes alone
        self.held += claims

    def end(self, worker: LimitedWorker, how: str) -> None:
        claim = self.held[0]
        if how == "die":
            let_lapse(self.store, claim)
            self.claim(worker, 9)  # an expired lease counts until it is recovered: its handler may still run
            recover(self.claims_of("parent", QUEUE), self.store)
        elif how == "give back":
            worker.claims.give_back(claim, delay_seconds=0)
        else:
            worker.end(claim, {"finish": "good", "fail": "bad", "later": "neither"}[how])
        self.held.remove(claim)

    def drain(self) -> None:
        while self.held:
            self.end(self.workers[0], "finish")
        for job_id in texts(self.store.zrange(f"rq:scheduled:{QUEUE}", 0, -1)):
            self.store.zadd(f"rq:scheduled:{QUEUE}", {job_id: 0})
        self.claims_of("parent", QUEUE).promote_due()
        while claims := self.workers[1].claim(9):
            assert len(claims) <= self.limit
            for claim in claims:
                self.workers[1].end(claim)


@given(concurrency=st.integers(1, 3), steps=STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_more_runs_at_a_time_than_the_limit_whatever_happens(
    concurrency: int, steps: list[tuple[int, str, int]], store: redis.Redis, put: Any, claims_of: Any
) -> None:
    store.flushall()
    put(8)
    runs = Runs(store, claims_of, concurrency)

    for number, step, count in steps:
        if step == "claim":
            runs.claim(runs.workers[number], count)
        elif step == "limit":
            runs.limit = count
            store.hset(KEYS.limits(QUEUE), "concurrency", count)
        elif runs.held:
            runs.end(runs.workers[number], step)
        assert leases(store) == len(runs.held)

    runs.drain()
    assert ledger(store)["open"] == store.zcard(f"rq:failed:{QUEUE}")
    assert is_balanced(store)


@given(
    number=st.integers(1, 40),
    pauses=st.lists(st.one_of(st.integers(0, 40), st.integers(0, 1500)), min_size=10, max_size=30),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_more_starts_in_any_period_than_the_rate_says(
    number: int, pauses: list[int], store: redis.Redis, clock: StoreClock, put: Any
) -> None:
    for key in store.scan_iter("*limits*"):
        store.delete(key)
    store.delete(f"rq:queue:{QUEUE}")
    put(12)
    limits = Limits(rate=f"{number}/s", has_breaker=False)
    workers = [LimitedWorker(store, f"w{each}", limits) for each in range(2)]
    starts: list[int] = []

    for turn, pause in enumerate(pauses):
        clock.advance(pause)
        worker = workers[turn % 2]
        for claim in worker.claim(3):
            starts.append(clock.now)
            # Retries obey the rate as well: the job comes back at the end of the queue.
            worker.claims.acknowledge(worker.ack(claim, "neither", 8))
            store.zadd(f"rq:scheduled:{QUEUE}", {claim.job_id: 0})
            worker.claims.promote_due()
        assert worker.told.wait_seconds is None or worker.told.wait_seconds <= PERIOD_MS / number / 1000 + 0.001

    for position, start in enumerate(starts):
        assert sum(start <= other < start + PERIOD_MS for other in starts[position:]) <= number
    # Nothing waits longer than it must: after a whole interval, one starts.
    clock.advance(PERIOD_MS / number + 1)
    assert len(workers[0].claim(3)) == 1


def test_the_store_says_when_the_next_may_start(store: redis.Redis, clock: StoreClock, put: Any) -> None:
    put(3)
    worker = LimitedWorker(store, "w", Limits(rate="100/m", has_breaker=False))

    assert len(worker.claim(8)) == 1
    assert worker.told.wait_seconds == 0.6
    clock.advance(400)
    assert worker.claim(8) == ()
    assert worker.told.wait_seconds == 0.2


def test_a_full_or_empty_queue_says_nothing_of_when(store: redis.Redis, put: Any) -> None:
    worker = LimitedWorker(store, "w", Limits(concurrency=1, has_breaker=False))
    assert (worker.claim(8), worker.told.wait_seconds) == ((), None)
    put(2)

    (running,) = worker.claim(8)

    assert worker.told.wait_seconds is None
    worker.end(running)
    assert worker.told.wait_seconds == 0.0


def test_retry_later_for_everyone_holds_the_queue_back_and_spends_nothing(
    store: redis.Redis, clock: StoreClock, put: Any, claims_of: Any
) -> None:
    put(3)
    worker = LimitedWorker(store, "w", Limits(concurrency=2))
    told, other = worker.claim(2)

    worker.end(told, 30_000)
    worker.end(other)

    assert worker.claim(2) == ()
    assert worker.told.wait_seconds == 30
    clock.advance(30_001)
    worker.claims.promote_due()
    assert {claim.spent for claim in worker.claim(2)} == {0}


def test_a_shorter_wait_for_everyone_does_not_shorten_a_longer_one(
    store: redis.Redis, clock: StoreClock, put: Any
) -> None:
    put(3)
    worker = LimitedWorker(store, "w", Limits(concurrency=2))
    first, second = worker.claim(2)

    worker.end(first, 60_000)
    worker.end(second, 1_000)

    worker.claim()
    assert worker.told.wait_seconds == 60


def test_an_operators_limit_wins_until_it_is_cleared(store: redis.Redis, put: Any) -> None:
    put(9)
    worker = LimitedWorker(store, "w", Limits(concurrency=2, rate="1/h", has_breaker=False))
    store.hset(KEYS.limits(QUEUE), mapping={"concurrency": 4, "rate": "off", "interval_ms": "off"})

    assert len(worker.claim(9)) == 4
    store.hdel(KEYS.limits(QUEUE), "concurrency", "rate", "interval_ms")
    assert worker.claim(9) == ()


def test_a_repeated_exchange_starts_nothing_twice(store: redis.Redis, clock: StoreClock, put: Any) -> None:
    put(5)
    worker = LimitedWorker(store, "w", Limits(concurrency=3, rate="60/m"))
    arguments = worker.claims.exchange_arguments(1, (), wanted=5, starting=5)

    first, again = (worker.claims.parse_reply(worker.claims.exchange_script().run(store, *arguments)) for _ in range(2))

    assert first.claims == again.claims
    assert leases(store) == 1


def test_a_delayed_retry_is_queued_and_told_only_when_it_may_start(store: redis.Redis, put: Any) -> None:
    put(2)
    limits = Limits(concurrency=1)
    worker, queues = LimitedWorker(store, "w", limits), LimitedQueues(store, KEYS, {QUEUE: limits}, 30)
    (running,) = worker.claim()
    assert queues.tend() == []

    worker.end(running, "neither")
    store.zadd(f"rq:scheduled:{QUEUE}", {running.job_id: 0})

    assert queues.tend() == [QUEUE]
    assert store.llen(f"rq:queue:{QUEUE}") == 2
    assert texts(store.hmget(KEYS.limits(QUEUE), "declared")) == ["1,,,1"]


def test_a_move_carries_the_counts_of_earlier_runs(store: redis.Redis, accept: Accept, claims_of: Any) -> None:
    event_id = accept()
    claims = claims_of()
    claims.retry(claims.claim(), an_attempt(), "", delay_seconds=0, spends_retry=True)
    store.zadd("rq:scheduled:events", {event_id: 0})
    claims.promote_due()

    move_all(claims_of)
    (claim,) = LimitedWorker(store, "w", NO_BREAKER).claim()

    assert (claim.job_id, claim.runs, claim.spent) == (f"{event_id}_it", 2, 1)
    assert is_balanced(store)
