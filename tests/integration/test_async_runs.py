"""`async` handlers run in one event loop, as many at once as there are threads."""

import asyncio
import gc
import threading
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Attempt, Event, Permanent, on
from surehook.workers.queue.threads import JobInProgress
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
    are_three = asyncio.Event()

    @on("user.delete", name="it")
    async def it(_: Event) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            are_three.set()
        await are_three.wait()
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


def test_the_supervisor_looks_for_one_that_hangs_in_the_thread_of_the_loop(
    accept: Accept, open_worker_harness: Open, counts: Counts
) -> None:
    may_end = asyncio.Event()

    @on("user.delete", name="it")
    async def it(_: Event) -> None:
        await may_end.wait()

    accept()
    worker_harness = open_worker_harness(threads=1).start()
    event_loop = worker_harness.runner.event_loop

    (slot,) = wait_until(lambda: [each for each in worker_harness.slots.occupied() if each.stage is Stage.STARTED])
    assert slot.thread == event_loop.thread_ident()

    event_loop.call_soon(may_end.set)
    wait_until(lambda: counts.runs == [("it", "done")])


def test_an_error_of_ours_behind_a_run_breaks_the_process(
    accept: Accept, open_worker_harness: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on("user.delete", name="it")
    async def it(_: Event) -> None: ...

    def fail(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr("surehook.workers.execution.runner.result_of", fail)
    accept()
    worker_harness = open_worker_harness(threads=1).start()

    wait_until(lambda: isinstance(worker_harness.fetcher.error, OSError))


def test_a_permanent_error_and_a_timeout_count_as_such(
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


@pytest.mark.parametrize("is_async", [False, True])
def test_an_idle_process_keeps_no_job_in_memory(
    is_async: bool, accept: Accept, open_worker_harness: Open, counts: Counts
) -> None:
    async def handle_async(_: Event) -> None: ...

    on("user.delete", name="it")(handle_async if is_async else lambda _: None)
    event_id = accept()
    open_worker_harness(threads=2).start()
    wait_until(lambda: counts.runs == [("it", "done")])

    def is_in_memory() -> bool:
        jobs = [each for each in gc.get_objects() if type(each) is JobInProgress]
        return any(job.claim.event_id == event_id for job in jobs)

    wait_until(lambda: not is_in_memory(), "it is gone")
