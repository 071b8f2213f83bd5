"""A job that took its process down runs alone in the next one, and waits there no longer than it must."""

import threading
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, on
from surehook.workers.queue.claims import ClaimState
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept, Open
from tests.integration.test_leases import NO_HANDLERS
from tests.support.ledger import is_balanced, ledger


@pytest.fixture
def killer(accept: Accept, store: redis.Redis, claims_of: Any) -> str:
    """Interrupted once, and for now in no queue."""
    event_id = accept(number=9)
    interrupt(claims_of("pool"), NO_HANDLERS, store, KEYS, claims_of("dies").claim().key, state=ClaimState.STARTED)
    store.lrem("rq:queue:events", 0, event_id)
    return event_id


def test_a_quarantined_job_starts_once_the_job_ahead_of_it_is_given_back(
    killer: str, accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    done: list[int] = []
    on("user.delete", name="it")(lambda event: done.append(event["number"]))
    accept(number=1)
    worker_harness = open_worker_harness(threads=8)
    worker_harness.fetcher.step()  # claims a harmless job
    store.rpush("rq:queue:events", killer)
    worker_harness.fetcher.wake_up()
    worker_harness.fetcher.step()  # hands that over, and claims the killer
    first, lone = worker_harness.fetcher.jobs()
    assert (first.claim.interruptions, lone.claim.job_id) == (0, killer)

    first.received_at -= 1.0  # no thread has woken: the process stood still
    worker_harness.fetcher.step()
    worker_harness.start()

    wait_until(lambda: sorted(done) == [1, 9], "both have run")
    wait_until(lambda: ledger(store).get("done") == 2)


def test_a_quarantined_job_is_run_by_an_idle_process_while_its_holder_is_busy(
    killer: str, accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    begun: list[int] = []
    go_on = threading.Event()

    @on("user.delete", name="it")
    def it(event: Event) -> None:
        begun.append(event["number"])
        if event["number"] == 1:
            go_on.wait(60)

    accept(number=1)
    busy = open_worker_harness(name="busy").start()
    wait_until(lambda: begun == [1])
    store.rpush("rq:queue:events", killer)
    busy.fetcher.wake_up()
    wait_until(lambda: len(busy.fetcher.jobs()) == 2, "the busy one has it")

    try:
        idle = open_worker_harness(name="idle").start()
        more = [accept(number=number) for number in range(20, 23)]

        def look() -> bool:
            idle.fetcher.wake_up()
            busy.fetcher.wake_up()
            return sorted(begun) == [1, 9, 20, 21, 22]

        wait_until(look, "it has run, and what came after it")
    finally:
        go_on.set()
    wait_until(lambda: ledger(store).get("done") == 2 + len(more))
    assert store.hget(KEYS.event(killer), "runs:") == b"2"
    assert is_balanced(store)
