"""`surehook queues` and the limits of handlers' own queues, and what becomes of a queue whose handler has none now."""

import json
from typing import Any

import pytest
import redis

from surehook import Event, on
from surehook.shared.limits import Limits
from surehook.shared.settings import Settings
from surehook.shared.stats import StatsReader
from surehook.shared.store_metrics import StoreGauges
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.limited_queues import FormerQueues, LimitedQueues
from surehook.workers.rq_worker import RQWorkers
from tests.integration.conftest import KEYS, Accept
from tests.support.command import Surehook, command_on
from tests.support.ledger import is_balanced
from tests.support.limited import QUEUE, LimitedWorker, StoreClock, clock, move_all

__all__ = ["clock"]  # a fixture of tests.support

LIMITS = Limits(2, "100/m")


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


@pytest.fixture
def worker(accept: Accept, claims_of: Any, store: redis.Redis) -> LimitedWorker:
    """A worker beside a queue with three jobs."""
    for _ in range(3):
        accept()
    move_all(claims_of)
    LimitedQueues(store, KEYS, {QUEUE: LIMITS}, 30).tend()
    return LimitedWorker(store, "w", LIMITS)


def listed(surehook: Surehook) -> dict[str, Any]:
    lines = [json.loads(line) for line in surehook("queues", "list", "--json")[1].splitlines()]
    assert ["limits" in line for line in lines] == [False, True]
    found: dict[str, Any] = lines[1]
    return found


@pytest.mark.usefixtures("clock")
def test_the_list_tells_the_limits_and_what_the_queue_waits_for(worker: LimitedWorker, surehook: Surehook) -> None:
    worker.claim()

    limits = listed(surehook)["limits"]

    assert 0 < limits.pop("wait_seconds") <= 0.6
    assert limits == {
        "concurrency": 2, "rate": "100/m", "is_set_by_operator": False, "has_breaker": True,
        "breaker_open_seconds": None, "waits_for": "rate",
    }  # fmt: skip
    sentence = surehook("queues", "list")[1].splitlines()[3]
    assert sentence.startswith("  2 at a time, 100/m, breaker closed, waits for its rate, next start in 0.")


def test_an_operator_changes_the_limits_while_workers_run(worker: LimitedWorker, surehook: Surehook) -> None:
    assert surehook("queues", "limit", QUEUE, "--rate", "off", "--concurrency", "1") == (
        0, "events.it: 1 at a time, any rate (set by an operator), breaker closed\n"
    )  # fmt: skip
    assert len(worker.claim(3)) == 1
    assert listed(surehook)["limits"]["waits_for"] == "concurrency"

    surehook("queues", "limit", QUEUE, "--concurrency", "off")
    assert len(worker.claim(3)) == 2
    assert surehook("queues", "limit", QUEUE, "--clear") == (
        0, "events.it: 2 at a time, 100/m, breaker closed, full\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["events", "--rate", "1/s"], 2, "events is a queue of several handlers and has no limits"),
        (["events.other", "--rate", "1/s"], 3, "there is no queue events.other; there are: events, events.it"),
        ([QUEUE, "--rate", "often"], 2, 'as in "100/m"'),
        ([QUEUE, "--concurrency", "0"], 2, "a whole number from 1 to 100000, or off, not '0'"),
        ([QUEUE, "--clear", "--rate", "1/s"], 2, "it takes no --concurrency and no --rate"),
    ],
)
def test_a_wrong_limit_changes_nothing_and_says_why(
    arguments: list[str], status: int, words: str, worker: LimitedWorker, surehook: Surehook, store: redis.Redis
) -> None:
    before = store.hgetall(KEYS.limits(QUEUE))

    result = surehook("queues", "limit", *arguments)

    assert result[0] == status
    assert words in result[1]
    assert store.hgetall(KEYS.limits(QUEUE)) == before


def test_a_paused_queue_starts_nothing_and_resume_ends_every_kind_of_pause(
    worker: LimitedWorker, surehook: Surehook, store: redis.Redis
) -> None:
    surehook("queues", "pause", QUEUE)
    assert (worker.claim(), worker.told.is_paused) == ((), True)
    assert surehook("queues", "resume", QUEUE) == (0, "events.it is resumed\n")
    (claim,) = worker.claim()
    worker.end(claim, 3_600_000)
    surehook("queues", "limit", QUEUE, "--rate", "off")
    assert listed(surehook)["limits"]["waits_for"] == "closed"
    assert worker.claim() == ()

    assert surehook("queues", "resume", QUEUE) == (0, "events.it is resumed\n")

    assert len(worker.claim()) == 1
    assert surehook("queues", "resume", QUEUE) == (0, "events.it was not paused\n")
    assert listed(surehook)["limits"]["is_set_by_operator"]


def test_an_open_breaker_is_listed_and_a_metric(
    clock: StoreClock, worker: LimitedWorker, surehook: Surehook, store: redis.Redis, settings: Settings
) -> None:
    probe_at = clock.now + 42_000
    store.hset(KEYS.limits(QUEUE), mapping={"open_since": probe_at - 10_042_000, "probe_at": probe_at})

    assert "breaker OPEN for 2.8 h, probing, next start in 4" in surehook("queues", "list")[1]

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in StoreGauges(settings).collect()
        for sample in metric.samples
    }
    assert samples["surehook_breaker_open", QUEUE] == 1
    assert samples["surehook_queue_held_back", QUEUE, "breaker"] == 1
    assert samples["surehook_queue_held_back", QUEUE, "rate"] == 0


def test_the_stats_of_a_queue_without_declared_limits_are_read(worker: LimitedWorker, store: redis.Redis) -> None:
    store.hdel(KEYS.limits(QUEUE), "declared")
    store.hset(KEYS.limits(QUEUE), "concurrency", 5)

    (_, found) = StatsReader(store, KEYS).read().queues

    assert found.limits is not None
    assert (found.limits.concurrency, found.limits.rate, found.limits.has_breaker) == (5, None, False)


@pytest.mark.parametrize("has_handler", [True, False])
def test_jobs_of_a_handler_without_limits_leave_its_former_queue_once_its_workers_have_stopped(
    has_handler: bool, worker: LimitedWorker, store: redis.Redis
) -> None:
    if has_handler:
        on("user.delete", name="it", queue="slow")(lambda event: None)
    former = FormerQueues(store, KEYS, Registry(registry_module.declared), handler_timeout=30)
    (claim,) = worker.claim()
    worker.end(claim, "neither")
    workers = RQWorkers(store, KEYS, "events", ["w.1"], limited=[QUEUE])
    workers.register()
    assert former.drain() == {}

    workers.unregister()

    target = "slow" if has_handler else "events"
    assert former.drain() == {QUEUE: 3}
    assert former.drain() == {}
    assert store.llen(f"rq:queue:{target}") == 2
    assert store.zcard(f"rq:scheduled:{target}") == 1
    assert is_balanced(store)


def test_a_job_that_was_queued_before_its_handler_had_limits_is_moved_and_then_limited(
    accept: Accept, run_worker: Any, store: redis.Redis, counts: Any
) -> None:
    for name in ("one", "two"):
        on("user.delete", name=name)(lambda event: None)
    event_id = accept()
    run_worker()
    registry_module.declared.clear()

    @on("user.delete", name="one", concurrency=1)
    def one(event: Event) -> None:
        pass

    run_worker(turns=2)

    assert counts.runs == []
    assert store.lrange("rq:queue:events.one", 0, -1) == [f"{event_id}_one".encode()]
    assert is_balanced(store)


def test_times_of_an_outage_are_told_in_hours(
    worker: LimitedWorker, surehook: Surehook, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    StoreClock(monkeypatch)
    store.hset(KEYS.limits(QUEUE), mapping={"open_since": 1_800_000_000_000 - 48 * 3_600_000, "probe_at": 0})

    assert "breaker OPEN for 48.0 h" in surehook("queues", "list")[1]
