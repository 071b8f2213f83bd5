"""The fetcher with real threads on a real store: batches, lost replies, slow handlers, quarantined jobs."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as StoreIsAway

from harness.stack import wait_until
from surehook import Event, on
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.connection import Connection
from surehook.workers.queue import quarantine
from surehook.workers.queue.claims import ClaimState, token_prefix_of
from surehook.workers.slots import Stage
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept, Counts, Open
from tests.integration.test_leases import NO_HANDLERS
from tests.support.ledger import is_balanced, ledger


def all_done(store: redis.Redis, events: int) -> Callable[[], bool]:
    return lambda: ledger(store).get("done") == events


def test_many_events_are_handled_once_each_in_few_exchanges(
    accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    seen: list[str] = []
    on("user.delete", name="it")(lambda event: seen.append(str(event.id)))
    ids = [accept() for _ in range(200)]

    worker_harness = open_worker_harness().start()
    wait_until(all_done(store, 200))
    worker_harness.close()

    assert sorted(seen) == sorted(ids)
    assert int(store.hget(KEYS.exchange("worker_harness"), "number") or 0) < 200
    assert worker_harness.slots.occupied() == []
    assert not list(store.scan_iter("rq:execution*"))
    assert not store.exists(KEYS.leases("events"), KEYS.process_claims(token_prefix_of("worker_harness")))
    assert is_balanced(store)


class LosesReplies(Connection):
    """Every third reply is lost: the store has executed the command, but the worker does not know."""

    calls = 0

    def call(self, script: Any, arguments: Any, during: Any = lambda: None) -> Any:
        reply = super().call(script, arguments, during)
        self.calls += 1
        if self.calls % 3 == 0:
            raise StoreIsAway
        return reply


def test_lost_replies_neither_lose_nor_duplicate_events(
    accept: Accept, open_worker_harness: Open, store: redis.Redis, claims_of: Any, counts: Counts
) -> None:
    seen: list[str] = []
    on("user.delete", name="it")(lambda event: seen.append(str(event.id)))
    ids = [accept() for _ in range(60)]
    worker_harness = open_worker_harness(threads=2)
    worker_harness.fetcher._connection = LosesReplies(store)  # noqa: SLF001

    worker_harness.start()
    wait_until(all_done(store, 60))
    worker_harness.close()

    assert sorted(seen) == sorted(ids)
    assert counts.runs == [("it", "done")] * 60


def test_a_worker_with_slow_handlers_does_not_prefetch_beyond_its_threads(
    accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    is_over = threading.Event()
    on("user.delete", name="it")(lambda event: is_over.wait(20))
    for _ in range(10):
        accept()

    open_worker_harness(threads=4).start()
    try:
        wait_until(lambda: store.scard(KEYS.process_claims(token_prefix_of("worker_harness"))) == 4)
        assert store.llen("rq:queue:events") == 6
    finally:
        is_over.set()
    wait_until(all_done(store, 10))


def test_a_job_that_crashed_its_process_is_retried_in_isolation(
    accept: Accept,
    open_worker_harness: Open,
    store: redis.Redis,
    claims_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quarantine, "FIRST_WAIT_SECONDS", 60.0)  # it does not go back before the test has looked
    running: set[str] = set()
    beside: dict[str, int] = {}
    go_on = threading.Event()

    @on("user.delete", name="it")
    def it(event: Event) -> None:
        running.add(str(event.id))
        beside[str(event.id)] = len(running)
        go_on.wait(20 if event["number"] < 3 else 0.1)
        running.discard(str(event.id))

    killer = accept(number=9)
    interrupt(claims_of("pool"), NO_HANDLERS, store, KEYS, claims_of("dies").claim().key, state=ClaimState.STARTED)
    store.lrem("rq:queue:events", 0, killer)
    first = [accept(number=number) for number in range(3)]
    store.rpush("rq:queue:events", killer)
    later = [accept(number=number) for number in range(10, 13)]

    open_worker_harness().start()
    wait_until(
        lambda: len(running) == 3 and store.scard(KEYS.process_claims(token_prefix_of("worker_harness"))) == 4,
        "it waits for those that run",
    )
    assert running == set(first)
    go_on.set()
    wait_until(all_done(store, 7))

    assert beside[killer] == 1
    assert set(beside) == {killer, *first, *later}


def test_a_claim_whose_lease_may_be_over_is_not_started(
    accept: Accept, open_worker_harness: Open, store: redis.Redis, counts: Counts
) -> None:
    on("user.delete", name="it")(lambda event: None)
    event_id = accept()
    worker_harness = open_worker_harness(threads=1)
    worker_harness.fetcher.step()  # claims it
    (held,) = worker_harness.fetcher.jobs()
    held.start_by = 0.0
    worker_harness.fetcher.step()  # hands it over; no thread is there yet

    worker_harness.threads[0].start()
    wait_until(lambda: not worker_harness.fetcher.inbox.empty(), "the thread has looked at it")
    assert [slot.stage for slot in worker_harness.slots.occupied()] == [Stage.RESERVED], "a crash does not count"
    worker_harness.fetcher.stop()
    worker_harness.fetcher.step()

    assert counts.runs == []
    assert texts(store.lrange("rq:queue:events", 0, -1)) == [event_id]
    assert store.hget(KEYS.event(event_id), "runs:") == b"0"
    worker_harness.fetcher.handoff.put(None)


def test_a_lease_taken_over_is_told_to_the_handler_and_its_result_discarded(
    accept: Accept, open_worker_harness: Open, store: redis.Redis, counts: Counts
) -> None:
    answers: SimpleQueue[bool] = SimpleQueue()
    ask = threading.Event()

    @on("user.delete", name="it")
    def it(event: Event, attempt: Any) -> None:
        answers.put(attempt.is_ours())
        ask.wait(20)
        answers.put(attempt.is_ours())

    accept()
    worker_harness = open_worker_harness(threads=1).start()
    assert answers.get(timeout=20)
    (held,) = worker_harness.fetcher.jobs()
    store.delete(KEYS.leases("events"))
    held.mark_lost()  # as the heartbeat does when the store reports it
    ask.set()
    assert not answers.get(timeout=20)

    wait_until(lambda: counts.discarded == 1)
    worker_harness.close()
    assert counts.runs == [("it", "discarded")]


def test_rqs_tools_see_which_worker_runs_what(accept: Accept, open_worker_harness: Open, store: redis.Redis) -> None:
    from rq import Worker as StockWorker

    from surehook.workers.rq_worker import RQWorkers

    is_over = threading.Event()
    on("user.delete", name="it")(lambda event: is_over.wait(20))
    event_id = accept()
    worker_harness = open_worker_harness(threads=2)
    rq_workers = RQWorkers(store, Keys(), "events", [worker.name for worker in worker_harness.workers])
    rq_workers.register()
    worker_harness.start()

    def workers() -> dict[str, tuple[str, str | None]]:
        found = StockWorker.all(connection=store)
        return {worker.name: (worker.get_state(), worker.get_current_job_id()) for worker in found}

    try:
        wait_until(lambda: ("busy", event_id) in workers().values(), "one is busy with it")
        assert sorted(state for state, _ in workers().values()) == ["busy", "idle"]
    finally:
        is_over.set()
    wait_until(all_done(store, 1))
    assert {job for _, job in workers().values()} == {None}
    assert {worker.successful_job_count for worker in StockWorker.all(connection=store)} == {0, 1}
