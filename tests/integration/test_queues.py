"""`surehook queues`: pausing and resuming, and what a paused queue does."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from harness.stack import wait_until
from surehook import Event, on
from surehook.shared.keys import Keys
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.workers.rq_worker import RQWorkers
from tests.integration.conftest import KEYS, Accept, Open
from tests.integration.test_leases import an_attempt
from tests.support.command import Surehook, command_on


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


@pytest.fixture
def ran() -> list[str]:
    ran: list[str] = []

    @on("user.delete", name="it")
    def it(event: Event) -> None:
        ran.append(str(event.id))

    return ran


def test_a_paused_queue_is_not_worked_on_until_it_is_resumed(
    accept: Accept, run_worker: Any, surehook: Surehook, ran: list[str], store: redis.Redis
) -> None:
    event_id = accept()

    assert surehook("queues", "pause", "events") == (0, "events is paused\n")
    run_worker(turns=2)
    assert ran == []
    assert store.llen("rq:queue:events") == 1

    assert surehook("queues", "resume", "events") == (0, "events is resumed\n")
    run_worker()
    assert ran == [event_id]


def test_the_other_queues_go_on(accept: Accept, run_worker: Any, surehook: Surehook, store: redis.Redis) -> None:
    ran = []
    on("user.delete", name="slow", queue="slow")(lambda event: ran.append("slow"))
    accept()
    run_worker()
    surehook("queues", "pause", "events")

    run_worker(queue="slow")

    assert ran == ["slow"]


def test_running_jobs_finish_and_due_retries_wait(
    accept: Accept, claims_of: Any, make_due: Any, surehook: Surehook, store: redis.Redis
) -> None:
    accept()
    accept()
    claims = claims_of()
    claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True)
    running = claims.claim()

    surehook("queues", "pause", "events")

    assert claims.finish(running, "done", None)
    assert make_due() == 1
    assert claims.claim() is None
    assert store.llen("rq:queue:events") == 1


def test_a_worker_on_a_paused_queue_does_not_spin(
    accept: Accept, open_worker_harness: Open, surehook: Surehook, ran: list[str], store: redis.Redis
) -> None:
    accept()
    surehook("queues", "pause", "events")
    worker_harness = open_worker_harness()
    before = store.info("stats")["total_commands_processed"]
    began = time.monotonic()
    worker_harness.start()
    wait_until(lambda: time.monotonic() - began > 1.2)
    during = store.info("stats")["total_commands_processed"] - before
    worker_harness.close()

    assert 0 < during < 100


def test_rqs_own_suspension_works_too(
    accept: Accept, run_worker: Any, surehook: Surehook, ran: list[str], store: redis.Redis
) -> None:
    accept()
    store.set("rq:suspended", 1)

    run_worker()

    assert ran == []
    assert "suspended by `rq suspend`" in surehook("queues", "list")[1]


def test_the_list_tells_each_queue(
    accept: Accept, claims_of: Any, run_worker: Callable[..., Any], surehook: Surehook, store: redis.Redis
) -> None:
    claims = claims_of()
    for _ in range(5):
        accept()
    claims.bury(claims.claim(), an_attempt(), "")
    claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True)
    claims.fan_out(claims.claim(), [("a", "slow", 1.0)])
    claims.claim()
    head = text(store.lindex("rq:queue:events", 0))
    store.hset(f"rq:job:{head}", "enqueued_at", "2020-01-01T00:00:00.000000Z")
    RQWorkers(store, Keys(), "events", ["w.1"]).register()
    store.sadd("rq:workers:events", "rq:worker:long-dead")
    surehook("queues", "pause", "slow")

    events, slow = (json.loads(line) for line in surehook("queues", "list", "--json")[1].splitlines())

    assert events.pop("oldest_waiting_seconds") > 100_000_000
    assert events == {
        "name": "events", "waiting": 1, "running": 1, "scheduled": 1, "deferred": 0, "dead": 1,
        "is_paused": False, "workers": 1, "is_suspended": False,
    }  # fmt: skip
    assert (slow["name"], slow["waiting"], slow["is_paused"], slow["workers"]) == ("slow", 1, True, 0)
    assert "paused" in surehook("queues", "list")[1].splitlines()[2]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_queue_is_not_found(verb: str, accept: Accept, surehook: Surehook, store: redis.Redis) -> None:
    accept()

    assert surehook("queues", verb, "event") == (3, "there is no queue event; there are: events")
    assert not store.exists(KEYS.paused)


def test_pausing_or_resuming_twice_is_no_error(accept: Accept, surehook: Surehook) -> None:
    accept()
    surehook("queues", "pause", "events")

    assert surehook("queues", "pause", "events") == (0, "events was paused already\n")
    surehook("queues", "resume", "events")
    assert surehook("queues", "resume", "events") == (0, "events was not paused\n")
