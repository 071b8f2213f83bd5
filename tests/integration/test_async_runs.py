"""`async` handlers run in one event loop, as many at once as there are threads, and no thread waits for them."""

import asyncio
import threading
import time
from typing import Any

import redis

from harness.stack import wait_until
from surehook import Attempt, Event, Permanent, on
from surehook.workers.slots import Stage
from tests.integration.conftest import KEYS, Accept, Counts, Open
from tests.integration.test_lost_leases import let_renewals_fail, running
from tests.support.ledger import is_balanced


def stages(worker_harness: Any) -> list[Stage]:
    return sorted(slot.stage for slot in worker_harness.slots.occupied())


def test_as_many_run_at_once_as_there_are_threads(
    accept: Accept, open_worker_harness: Open, counts: Counts, store: redis.Redis
) -> None:
    now = most = 0

    @on("user.delete", name="it")
    async def it(_: Event) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    for _ in range(40):
        accept()

    open_worker_harness(threads=3).start()

    wait_until(lambda: counts.runs == [("it", "done")] * 40)
    assert most == 3
    assert is_balanced(store)


def test_plain_and_async_handlers_wait_for_one_another(
    accept: Accept, open_worker_harness: Open, counts: Counts
) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    @on("user.delete", name="waits")
    async def waits(_: Event) -> None:
        has_begun.set()
        await asyncio.to_thread(may_end.wait, 20)

    @on("user.create", name="plain")
    def plain(_: Event) -> None:
        assert has_begun.wait(20)
        may_end.set()

    accept()
    accept("user.create")

    open_worker_harness(threads=2).start()

    wait_until(lambda: sorted(counts.runs) == [("plain", "done"), ("waits", "done")])


def test_one_that_waits_for_the_blocked_loop_has_not_started(
    accept: Accept, open_worker_harness: Open, counts: Counts
) -> None:
    may_end = threading.Event()

    @on("user.delete", name="it")
    async def it(_: Event) -> None:
        may_end.wait(60)

    accept()
    accept()
    worker_harness = open_worker_harness(threads=2).start()

    wait_until(lambda: Stage.STARTED in stages(worker_harness), "one blocks the loop")
    wait_until(lambda: all(job.thread for job in worker_harness.fetcher.jobs()), "a thread has taken the other")
    time.sleep(0.05)
    assert stages(worker_harness) == [Stage.RESERVED, Stage.STARTED], "a crash must not count against it"

    may_end.set()
    wait_until(lambda: counts.runs == [("it", "done")] * 2)


def test_each_outcome_is_recorded(
    accept: Accept, open_worker_harness: Open, counts: Counts, store: redis.Redis
) -> None:
    @on("user.delete", name="fails", retries=1)
    async def fails(_: Event) -> None:
        await asyncio.sleep(0)
        raise Permanent

    @on("user.create", name="late", timeout=0.2)
    async def late(_: Event) -> None:
        await asyncio.sleep(60)

    accept()
    accept("user.create")

    worker_harness = open_worker_harness(threads=1).start()

    wait_until(lambda: sorted(counts.runs) == [("fails", "dead letter"), ("late", "timed out")])
    wait_until(lambda: stages(worker_harness) == [])
    assert is_balanced(store)


def test_a_run_whose_lease_could_not_be_renewed_is_discarded_and_repeated(
    accept: Accept, open_worker_harness: Open, counts: Counts, store: redis.Redis
) -> None:
    may_ask, answers = threading.Event(), list[bool]()

    @on("user.delete", name="it")
    async def it(_: Event, attempt: Attempt) -> None:
        await asyncio.to_thread(may_ask.wait, 20)
        answers.append(attempt.is_ours())

    event_id = accept()
    worker_harness = open_worker_harness(threads=1).start()
    let_renewals_fail(running(worker_harness))
    may_ask.set()

    def has_run_again() -> bool:
        worker_harness.fetcher.wake_up()
        return counts.runs == [("it", "discarded"), ("it", "done")]

    wait_until(has_run_again, "it may have stopped half-way")
    assert answers == [False, True]
    assert store.hget(KEYS.event(event_id), "outcome") == b"done"
