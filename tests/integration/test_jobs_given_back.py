"""Jobs that a process holds and no thread begins: another process must get them."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, on
from surehook.shared.scripts import texts
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.threads import JobInProgress
from tests.integration.conftest import Accept, Open


def test_jobs_that_no_thread_begins_are_given_back_in_order(
    accept: Accept, open_worker_harness: Open, store: redis.Redis, claims_of: Any
) -> None:
    is_over = threading.Event()

    @on("user.delete", name="it")
    def slow_from_the_tenth(event: Event) -> None:
        if event["number"] >= 10:
            is_over.wait(20)

    ids = [accept(number=number) for number in range(40)]
    open_worker_harness(threads=2).start()

    try:
        wait_until(lambda: texts(store.lrange("rq:queue:events", 0, -1)) == ids[12:], "no more than runs is held")
        assert claims_of("other").claim().runs == 1
    finally:
        is_over.set()


@pytest.mark.parametrize(("threads", "seconds", "running"), [(8, 0.0, 2000), (8, 0.001, 1000), (64, 0.05, 600)])
def test_jobs_held_ahead_go_back_and_stay_there_when_no_handler_ends(
    threads: int,
    seconds: float,
    running: int,
    accept: Accept,
    open_worker_harness: Open,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()
    given_back: Counter[str] = Counter()
    give_back = Fetcher._give_back  # noqa: SLF001 - the store does not show how often a job goes back

    def count_and_give_back(fetcher: Fetcher, job: JobInProgress) -> None:
        given_back[job.claim.job_id] += 1
        give_back(fetcher, job)

    @on("user.delete", name="it")
    def ends_at_first(event: Event) -> None:
        if event["number"] >= running:
            is_over.wait(20)
        elif seconds:
            time.sleep(seconds)

    monkeypatch.setattr(Fetcher, "_give_back", count_and_give_back)
    ids = [accept(number=number) for number in range(running + threads + 40)]
    open_worker_harness(threads=threads).start()

    try:
        wait_until(
            lambda: texts(store.lrange("rq:queue:events", 0, -1)) == ids[running + threads :],
            "no more than runs is held",
        )
    finally:
        is_over.set()
    assert max(given_back.values(), default=0) <= 4, "a job that goes back must not come again at once"
