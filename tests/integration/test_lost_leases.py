"""A handler learns from its attempt whether the store has given its lease to another."""

import threading
import time
from queue import SimpleQueue
from typing import Any

import redis

from harness.stack import wait_until
from surehook import Attempt, Event, on
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.maintenance.heartbeat import Heartbeat
from surehook.workers.queue.threads import PARENT_RENEWS_EVERY_SECONDS, JobInProgress, JobWorker
from surehook.workers.rq_worker import RQWorkers
from surehook.workers.supervisor import own_claims
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept, Counts, Open
from tests.integration.test_leases import NO_HANDLERS, let_lapse
from tests.support.ledger import is_balanced


def test_is_ours_is_false_after_another_worker_takes_the_lease(
    accept: Accept, open_worker_harness: Open, claims_of: Any, counts: Counts, store: redis.Redis
) -> None:
    answers: SimpleQueue[bool] = SimpleQueue()
    ask = threading.Semaphore(0)

    @on("user.delete", name="it")
    def it(_: Event, attempt: Attempt) -> None:
        for _number in range(3):
            ask.acquire(timeout=20)
            answers.put(attempt.is_ours())

    def is_ours() -> bool:
        ask.release()
        return answers.get(timeout=20)

    event_id = accept()
    worker_harness = open_worker_harness(threads=1).start()
    rq_workers = RQWorkers(store, Keys(), "events", [worker_harness.workers[0].name])

    def heartbeat() -> Heartbeat:
        return Heartbeat(rq_workers, worker_harness.fetcher, claims_of("worker_harness"))

    heartbeat().tick()
    assert is_ours()
    (claim,) = texts(store.zrange(KEYS.leases("events"), 0, -1))
    heartbeat().tick()
    assert is_ours()

    store.zrem(KEYS.leases("events"), claim)  # as when it lapsed and was recovered by another
    heartbeat().tick()

    assert not is_ours()
    wait_until(lambda: counts.discarded == 1, "what it did no longer counts")
    assert store.zscore(KEYS.open, event_id)


class Asks:
    """A handler that checks its lease when the test lets it, on its first run only."""

    def __init__(self) -> None:
        self.answers: SimpleQueue[bool] = SimpleQueue()
        self.go_on = threading.Event()

    def __call__(self, event: Event, attempt: Attempt) -> None:
        if self.answers.empty():
            self.go_on.wait(60)
            self.answers.put(attempt.is_ours())


def running(worker_harness: Any) -> JobInProgress:
    wait_until(lambda: any(each.worker for each in worker_harness.fetcher.jobs()), "it runs")
    (held,) = worker_harness.fetcher.jobs()
    assert isinstance(held, JobInProgress)
    return held


def let_renewals_fail(held: JobInProgress) -> None:
    """As when the store was out of reach for longer than a lease."""
    held.start_by = time.monotonic() - 5


def test_is_ours_is_false_when_leases_cannot_be_renewed(
    accept: Accept, open_worker_harness: Open, claims_of: Any, counts: Counts, store: redis.Redis
) -> None:
    handler = Asks()
    on("user.delete", name="it")(handler)
    accept()
    worker_harness = open_worker_harness(threads=1).start()
    held = running(worker_harness)
    let_renewals_fail(held)
    let_lapse(store, held.claim)
    assert interrupt(claims_of("other"), NO_HANDLERS, store, KEYS, held.claim.key) == "requeued"
    assert claims_of("other").claim() is not None

    handler.go_on.set()

    assert not handler.answers.get(timeout=20)
    wait_until(lambda: counts.runs == [("it", "discarded")])


def test_a_run_whose_lease_could_not_be_renewed_is_discarded_and_repeated(
    accept: Accept, open_worker_harness: Open, counts: Counts, store: redis.Redis
) -> None:
    handler = Asks()
    on("user.delete", name="it")(handler)
    event_id = accept()
    worker_harness = open_worker_harness(threads=1).start()
    let_renewals_fail(running(worker_harness))
    handler.go_on.set()

    def has_run_again() -> bool:
        worker_harness.fetcher.wake_up()
        return counts.runs == [("it", "discarded"), ("it", "done")]

    wait_until(has_run_again, "it may have stopped half-way")

    assert store.hget(KEYS.event(event_id), "outcome") == b"done"
    assert is_balanced(store)


def test_a_stalled_process_relies_on_leases_renewed_by_its_supervisor(
    accept: Accept, open_worker_harness: Open, claims_of: Any
) -> None:
    worker_harness = open_worker_harness(threads=1)
    worker: JobWorker = worker_harness.workers[0]
    accept()
    held = JobInProgress(claims_of("worker_harness").claim(), 0, 0.0, 0.0)
    worker._job = held  # noqa: SLF001 - as while it runs
    now = time.monotonic()

    worker_harness.slots.beat(now - 20)
    assert worker.is_ours(), "it stands still"
    worker_harness.slots.beat(now)
    assert worker.is_ours(), "it has just come to itself"

    worker_harness.slots.stalled_until = now - 10
    assert not worker.is_ours()
    assert own_claims.RENEW_EVERY_SECONDS == PARENT_RENEWS_EVERY_SECONDS


def test_what_a_run_has_left_behind_does_not_ask_for_the_next_job(
    accept: Accept, open_worker_harness: Open, counts: Counts
) -> None:
    attempts: list[Attempt] = []
    may_end = threading.Event()

    @on("user.delete", name="it")
    def it(_: Event, attempt: Attempt) -> None:
        attempts.append(attempt)
        if len(attempts) == 2:
            may_end.wait(60)

    accept()
    worker_harness = open_worker_harness(threads=1).start()
    wait_until(lambda: counts.runs == [("it", "done")])
    accept()
    worker_harness.fetcher.wake_up()
    wait_until(lambda: len(attempts) == 2, "the next job runs")
    let_renewals_fail(running(worker_harness))

    assert not attempts[0].is_ours()
    (job,) = worker_harness.fetcher.jobs()
    assert not job.has_seen_lease_lost, "its result counts"
    may_end.set()
    wait_until(lambda: counts.runs == [("it", "done")] * 2)
