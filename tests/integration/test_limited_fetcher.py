"""A worker process that serves handlers with limits beside its own queue: it neither spins nor lets the others wait."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, RetryLater, on
from surehook.shared.limits import Limits
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from tests.integration.conftest import KEYS, Accept, Counts
from tests.support.ledger import is_balanced, ledger
from tests.support.worker_harness import WorkerHarness

FREE_DONE = ("free", "done")


@pytest.fixture
def open_limited(store: redis.Redis, settings: Any, claims_of: Any, counts: Counts, tmp_path: Path) -> Any:
    """A worker process on `events`, and on the own queues of the handlers declared so far."""
    opened: list[WorkerHarness] = []

    def open_limited(threads: int = 4, name: str = "w") -> WorkerHarness:
        limited = Registry(registry_module.declared).limited("events")
        claims = [Claims.of(store, settings, queue, name, limits) for queue, limits in limited.items()]
        opened.append(WorkerHarness(store, claims_of(name), counts, tmp_path, threads, name, limited=claims))
        return opened[-1].start()

    yield open_limited
    for worker_harness in opened:
        worker_harness.close()


def commands(store: redis.Redis, seconds: float) -> float:
    """Commands a second, those inside scripts included."""
    before, began = store.info("stats")["total_commands_processed"], time.monotonic()
    wait_until(lambda: time.monotonic() - began > seconds)
    return float(store.info("stats")["total_commands_processed"] - before) / seconds


@pytest.mark.parametrize("held_back", ["rate", "concurrency", "closed", "breaker"])
def test_a_worker_whose_jobs_may_not_start_does_not_spin(
    held_back: str, accept: Accept, open_limited: Any, store: redis.Redis
) -> None:
    is_over = threading.Event()
    rate = "1/h" if held_back == "rate" else None

    @on("user.delete", name="it", concurrency=1, rate=rate, timeout=60)
    def it(event: Event) -> None:
        if held_back == "concurrency":
            is_over.wait(20)
        if held_back == "closed":
            raise RetryLater(3600, everyone=True)
        if held_back == "breaker":
            raise OSError

    for _ in range(15):
        accept()
    open_limited()
    reason = {"closed": "closed_until", "breaker": "open_since"}.get(held_back, "declared")
    store.hset(KEYS.limits("events.it"), "declared", Limits(1, rate).packed())
    runs = 10 if held_back == "breaker" else 1
    wait_until(lambda: store.llen("rq:queue:events.it") >= 15 - runs and store.llen("rq:queue:events") == 0)
    wait_until(lambda: store.hexists(KEYS.limits("events.it"), reason) and store.zcard(KEYS.leases("events")) == 0)

    assert commands(store, 1.0) < 60
    is_over.set()


def test_waiting_jobs_of_a_limited_handler_delay_no_other(
    accept: Accept, open_limited: Any, store: redis.Redis, counts: Counts
) -> None:
    is_over = threading.Event()
    on("user.delete", name="limited", concurrency=1, timeout=60)(lambda event: is_over.wait(20))
    on("user.create", name="free")(lambda event: None)
    for _ in range(40):
        accept("user.delete")
    for _ in range(20):
        accept("user.create")

    open_limited(threads=2)
    wait_until(lambda: counts.runs.count(FREE_DONE) == 20)

    assert ("limited", "done") not in counts.runs
    is_over.set()
    wait_until(lambda: ledger(store)["open"] == 0)
    assert is_balanced(store)


def test_a_backlog_of_the_shared_queue_does_not_starve_a_limited_handler(
    accept: Accept, open_limited: Any, counts: Counts, store: redis.Redis
) -> None:
    free_before: list[int] = []
    on("user.delete", name="limited", concurrency=8)(lambda event: free_before.append(counts.runs.count(FREE_DONE)))
    on("user.create", name="free")(lambda event: threading.Event().wait(0.002))
    for _ in range(5):
        accept("user.delete")
    for _ in range(400):
        accept("user.create")

    open_limited(threads=2)
    wait_until(lambda: len(free_before) == 5)

    assert max(free_before) < 300
    wait_until(lambda: ledger(store)["open"] == 0)


def test_two_processes_together_keep_the_rate(
    accept: Accept, open_limited: Any, store: redis.Redis, counts: Counts
) -> None:
    lease_ends_ms: dict[bytes, float] = {}  # by the store's clock, which no slow thread moves

    @on("user.delete", name="it", rate="20/s")
    def it(event: Event) -> None:
        leases: Any = store.zrange(KEYS.leases("events.it"), 0, -1, withscores=True)
        lease_ends_ms.update(leases)

    for _ in range(12):
        accept()

    open_limited(name="one")
    open_limited(name="two")
    wait_until(lambda: len(lease_ends_ms) == 12)

    assert max(lease_ends_ms.values()) - min(lease_ends_ms.values()) >= 11 * 50


def test_retry_later_for_everyone_of_a_handler_without_own_queue_holds_back_one_event_and_says_so(
    accept: Accept, run_worker: Any, counts: Counts, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    @on("user.delete", name="it")
    def it(event: Event) -> None:
        raise RetryLater(60, everyone=True)

    accept()
    accept()
    run_worker(turns=2)

    assert counts.runs == [("it", "later")] * 2
    assert "RetryLater(everyone=True) holds back one event" in caplog.text


def test_a_failure_while_the_breaker_is_open_is_logged_as_a_failure_not_as_a_dead_letter(
    accept: Accept, open_limited: Any, store: redis.Redis, counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    @on("user.delete", name="it", breaker=True, retries=0)
    def it(event: Event) -> None:
        raise OSError

    for _ in range(12):
        accept()
    with caplog.at_level("INFO"):
        worker_harness = open_limited(threads=1)
        wait_until(lambda: "breaker opened" in caplog.text)
        worker_harness.close()

    assert counts.runs == [("it", "dead letter")] * 9 + [("it", "failed")]
    assert store.zcard("rq:failed:events.it") == 0
    outcomes = [line for key in store.scan_iter("surehook:attempts:*") for line in store.lrange(key, 0, -1)]
    assert sum(b'"failed"' in line for line in outcomes) == 1
    assert is_balanced(store)
