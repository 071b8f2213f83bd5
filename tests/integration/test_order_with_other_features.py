"""The order together with transactions, encryption, limits and RQ's tools."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rq.job import Job, JobStatus
from rq.registry import DeferredJobRegistry
from rq.serializers import JSONSerializer

from harness.events import USER_ID, a_body, an_event
from surehook import RetryLater
from surehook.admin.ledger import Ledger
from surehook.shared.encryption import BodyCipher
from surehook.shared.scripts import texts
from surehook.shared.stats import StatsReader
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.job_index import JobState
from surehook.workers.transactional.protocol import TransactionProtocol, jobs_of
from surehook.workers.transactional.transaction import Outcome
from tests.integration.conftest import KEYS, Accept
from tests.support.ledger import is_balanced, ledger
from tests.support.mirror import Mirror, deferred, left
from tests.support.transactions import Protocol

CIPHER = BodyCipher([SecretStr(Fernet.generate_key().decode())])


def test_a_transaction_takes_its_place_when_it_is_confirmed(
    accept: Accept, run_worker: Any, store: redis.Redis, protocol: Protocol
) -> None:
    mirror = Mirror()
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    store.hset(KEYS.event(event_id), "body", a_body(an_event("user.create", id=event_id, user={"id": USER_ID})))
    worker = TransactionProtocol(store, KEYS, "one", "worker")
    transaction = worker.claim()
    assert transaction is not None
    before = accept("user.update")
    jobs = jobs_of(Registry(registry_module.declared).for_event("user.create", "", ""), 30)

    assert worker.settle(transaction, Outcome("completed", commit_jobs=jobs)) == "completed"
    assert protocol.confirm(event_id, transaction.round) == ("completed", "")
    after = accept("user.update")
    run_worker(turns=15)

    assert mirror.ran == [before, event_id, after]
    assert ledger(store) == {"open": 0, "accepted": 3, "done": 3}
    assert left(store) == []


def test_an_encrypted_event_is_routed_by_a_worker_with_the_key(accept: Accept, run_worker: Any) -> None:
    mirror = Mirror()
    first, second = accept("user.update", cipher=CIPHER), accept("user.update", cipher=CIPHER)

    assert run_worker(turns=1).missing_key.is_missing
    assert mirror.ran == []
    run_worker(turns=10, cipher=CIPHER)

    assert mirror.ran == [first, second]


def test_a_limited_handler_keeps_the_order(accept: Accept, run_worker: Any, store: redis.Redis) -> None:
    mirror = Mirror(concurrency=2)
    (handler,) = registry_module.declared
    first, second = accept("user.update"), accept("user.update")

    run_worker(turns=5)
    run_worker(turns=5, queue=handler.queue)

    assert mirror.ran == [first, second]
    assert is_balanced(store)


def test_rq_the_counts_and_the_ledger_know_deferred_jobs(accept: Accept, run_worker: Any, store: redis.Redis) -> None:
    mirror = Mirror()
    first, second = accept("user.update", user={"id": USER_ID}), accept("user.update", user={"id": USER_ID})
    mirror.fails[first] = RetryLater(60)

    run_worker(turns=5)

    assert DeferredJobRegistry("events", connection=store, serializer=JSONSerializer).get_job_ids() == deferred(store)
    job = Job.fetch(f"{second}_mirror", connection=store, serializer=JSONSerializer)
    assert job.get_status() == JobStatus.DEFERRED
    assert [queue.deferred for queue in StatsReader(store, KEYS).read().queues if queue.name == "events"] == [1]
    report = Ledger(store, KEYS).read(lambda _: None)
    assert report.is_balanced
    assert report.events[JobState.DEFERRED] == 1


def test_a_job_that_rq_cancels_while_it_waits_holds_the_line_from_its_place(
    accept: Accept, run_worker: Any, store: redis.Redis, look: Any, make_due: Any
) -> None:
    mirror = Mirror()
    first, second, third = (accept("user.update") for _ in range(3))
    mirror.fails[first] = RetryLater(60)
    run_worker(turns=10)
    Job.fetch(f"{second}_mirror", connection=store, serializer=JSONSerializer).cancel()

    look()
    mirror.fails.clear()
    make_due()
    run_worker(turns=10)

    assert mirror.ran == [first, first]
    assert store.zscore("rq:failed:events", f"{second}_mirror") is not None
    assert deferred(store) == [f"{third}_mirror"]


@pytest.mark.parametrize("requeued_by", ["a person", "the sweep"])
def test_a_job_that_was_queued_out_of_turn_is_queued_once_when_its_turn_comes(
    accept: Accept, run_worker: Any, store: redis.Redis, look: Callable[[], list[str]], requeued_by: str
) -> None:
    mirror = Mirror(retries=0)
    first, second = accept("user.update"), accept("user.update")
    mirror.fails[second] = OSError()
    run_worker(turns=2)  # the handlers of both are chosen
    store.zrem("rq:deferred:events", f"{second}_mirror")
    if requeued_by == "a person":
        store.rpush("rq:queue:events", f"{second}_mirror")
    else:
        store.delete(f"rq:job:{second}_mirror")
        assert look() == [f"{second}_mirror"]

    run_worker(turns=10)

    assert mirror.ran == [first, second]
    assert texts(store.zrange("rq:failed:events", 0, -1)) == [f"{second}_mirror"]
