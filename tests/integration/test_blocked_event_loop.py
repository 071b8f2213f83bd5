"""An async run that waits for the blocked event loop has not started, and does not wait for ever."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Attempt, Event, on
from surehook.workers.queue.threads import JobInProgress
from surehook.workers.slots import Stage
from tests.integration.conftest import KEYS, Accept, Counts, Open
from tests.integration.test_async_runs import stages
from tests.support.worker_harness import WorkerHarness


@pytest.fixture
def blocker() -> Iterator[threading.Event]:
    """What blocks the loop waits for this."""
    may_end = threading.Event()
    yield may_end
    may_end.set()


def block_loop(worker_harness: WorkerHarness, may_end: threading.Event) -> None:
    """As a task does that a run has left behind."""
    is_blocked = threading.Event()

    def block() -> None:
        is_blocked.set()
        may_end.wait(60)

    worker_harness.runner.event_loop.call_soon(block)
    assert is_blocked.wait(20)


def wait_for_start(worker_harness: WorkerHarness) -> JobInProgress:
    (job,) = wait_until(lambda: [job for job in worker_harness.fetcher.jobs() if job.thread])
    time.sleep(0.05)
    assert stages(worker_harness) == [Stage.RESERVED]
    return job


def test_one_that_waits_longer_than_its_timeout_goes_back_and_the_process_is_replaced(
    accept: Accept, open_worker_harness: Open, counts: Counts, blocker: threading.Event, store: redis.Redis
) -> None:
    @on("user.delete", name="it", timeout=10)
    async def it(_: Event) -> None: ...

    event_id = accept()
    worker_harness = open_worker_harness(threads=1)
    block_loop(worker_harness, blocker)
    worker_harness.start()
    wait_for_start(worker_harness)
    now = time.monotonic()

    assert not worker_harness.runner.has_left_work(now + 11)
    assert worker_harness.runner.has_left_work(now + 12)
    assert not worker_harness.runner.has_left_work(now + 13)

    worker_harness.fetcher.stop()
    wait_until(lambda: stages(worker_harness) == [])
    blocker.set()
    assert store.hget(KEYS.event(event_id), "runs:") == b"0"
    assert counts.runs == []


def test_the_time_of_one_that_has_waited_begins_with_its_first_step(
    accept: Accept, open_worker_harness: Open, counts: Counts, blocker: threading.Event
) -> None:
    left: list[float] = []

    @on("user.delete", name="it", timeout=1)
    async def it(_: Event, attempt: Attempt) -> None:
        left.append((attempt.deadline - datetime.now(UTC)).total_seconds())
        await asyncio.sleep(0.1)

    accept()
    worker_harness = open_worker_harness(threads=1)
    block_loop(worker_harness, blocker)
    worker_harness.start()
    wait_for_start(worker_harness)
    time.sleep(1.2)
    blocker.set()

    wait_until(lambda: counts.runs == [("it", "done")], "and it was not cut off")
    assert 0.5 < left[0] <= 1


def test_one_whose_lease_is_lost_while_it_waits_does_not_start(
    accept: Accept, open_worker_harness: Open, counts: Counts, blocker: threading.Event
) -> None:
    started: list[Event] = []

    @on("user.delete", name="it")
    async def it(event: Event) -> None:
        started.append(event)

    accept()
    worker_harness = open_worker_harness(threads=1)
    block_loop(worker_harness, blocker)
    worker_harness.start()
    job = wait_for_start(worker_harness)
    worker_harness.fetcher.stop()
    job.mark_lost()
    blocker.set()

    wait_until(lambda: stages(worker_harness) == [])
    assert (started, counts.runs) == ([], [])


def test_one_that_is_cancelled_before_its_first_step_goes_back(
    accept: Accept, open_worker_harness: Open, counts: Counts, blocker: threading.Event
) -> None:
    @on("user.delete", name="it")
    async def it(_: Event) -> None: ...

    accept()
    worker_harness = open_worker_harness(threads=1)
    event_loop = worker_harness.runner.event_loop
    block_loop(worker_harness, blocker)
    worker_harness.start()
    wait_for_start(worker_harness)

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    event_loop.call_soon(cancel_all)  # behind the start, before the first step
    worker_harness.fetcher.stop()
    blocker.set()

    wait_until(lambda: stages(worker_harness) == [])
    assert counts.runs == []


def test_a_plain_handler_whose_awaitable_waits_longer_than_its_timeout_has_timed_out(
    accept: Accept, open_worker_harness: Open, counts: Counts, blocker: threading.Event
) -> None:
    class Later:
        def __await__(self) -> Iterator[None]:
            yield None

    @on("user.delete", name="it", timeout=0.2)
    def it(_: Event) -> Any:
        return Later()

    accept()
    worker_harness = open_worker_harness(threads=1)
    block_loop(worker_harness, blocker)
    worker_harness.start()

    wait_until(lambda: worker_harness.runner.has_left_work(time.monotonic()), "the process is replaced")
    wait_until(lambda: counts.runs == [("it", "timed out")])
