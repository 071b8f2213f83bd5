"""Other applications' RQ jobs on a queue of ours: put aside, queued again, and reported; never failed or deleted."""

import logging
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, ScheduledJobRegistry

from harness.events import an_event
from harness.stack import wait_until
from surehook.shared.keys import EVENTS_QUEUE, TRANSACTIONAL_QUEUE
from surehook.shared.scripts import texts
from surehook.workers.handlers.registry import on
from tests.integration.conftest import KEYS, Accept, Open
from tests.integration.test_no_available_worker import index_facts, lacking, transactional_heartbeat
from tests.support.transactions import Protocol

__all__ = ["index_facts", "lacking", "transactional_heartbeat"]


def a_job_of_another(store: redis.Redis, queue: str) -> Job:
    return Queue(queue, connection=store).enqueue("reports.build", "a word")


def is_put_aside(store: redis.Redis, job: Job, queue: str) -> bool:
    """True if the job is scheduled for some seconds from now, and nothing else is changed."""
    due_in = (store.zscore(KEYS.rq_scheduled(queue), job.id) or 0) - store.time()[0]
    job.refresh()
    return 5 < due_in <= 11 and job.args == ("a word",) and job.get_status() == JobStatus.SCHEDULED


def let_all_be_due(store: redis.Redis, queue: str) -> None:
    for job_id in texts(store.zrange(KEYS.rq_scheduled(queue), 0, -1)):
        store.zadd(KEYS.rq_scheduled(queue), {job_id: 0})


def test_a_job_of_another_application_is_put_aside_and_reported(
    accept: Accept, open_worker_harness: Open, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []
    on("user.delete", name="it")(lambda event: ran.append(str(event.id)))
    job = a_job_of_another(store, EVENTS_QUEUE)
    event_id = accept()

    open_worker_harness(threads=1).start()
    wait_until(lambda: ran == [event_id], "ours runs")

    wait_until(lambda: is_put_aside(store, job, EVENTS_QUEUE), "the other waits")
    assert job.id not in FailedJobRegistry(EVENTS_QUEUE, connection=store)
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (line.message, line.count, line.queue, line.job_id) == (  # type: ignore[attr-defined]
        "jobs without an event record put aside",
        1,
        EVENTS_QUEUE,
        job.id,
    )


def test_a_job_that_was_put_aside_is_queued_again_for_its_own_workers(claims_of: Any, store: redis.Redis) -> None:
    job = a_job_of_another(store, EVENTS_QUEUE)
    assert claims_of().claim() is None
    let_all_be_due(store, EVENTS_QUEUE)

    assert claims_of().promote_due() == 1

    queue = Queue(EVENTS_QUEUE, connection=store)
    assert (queue.job_ids, queue.fetch_job(job.id).get_status()) == ([job.id], JobStatus.QUEUED)


def test_a_job_that_was_deleted_while_it_was_put_aside_is_not_made_again(claims_of: Any, store: redis.Redis) -> None:
    job = a_job_of_another(store, EVENTS_QUEUE)
    assert claims_of().claim() is None
    store.delete(KEYS.rq_job(job.id))
    let_all_be_due(store, EVENTS_QUEUE)

    claims_of().promote_due()

    assert not store.exists(KEYS.rq_job(job.id), KEYS.rq_queue(EVENTS_QUEUE))


def test_a_job_of_another_application_does_not_delay_a_transaction(
    store: redis.Redis, protocol: Protocol, transactional_executor: Any
) -> None:
    protocol.beat("worker")
    job = a_job_of_another(store, TRANSACTIONAL_QUEUE)
    event_id = an_event()["id"]
    protocol.submit(event_id, "endpoint")

    assert transactional_executor().run_until_idle(0.01) == 1

    assert is_put_aside(store, job, TRANSACTIONAL_QUEUE)
    assert job.id not in FailedJobRegistry(TRANSACTIONAL_QUEUE, connection=store)


def test_a_job_on_the_transactional_queue_is_queued_again_and_reported(
    store: redis.Redis, transactional_heartbeat: Any, transactional_executor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = a_job_of_another(store, TRANSACTIONAL_QUEUE)
    transactional_executor().run_until_idle(0.01)
    let_all_be_due(store, TRANSACTIONAL_QUEUE)

    transactional_heartbeat.tick()

    assert Queue(TRANSACTIONAL_QUEUE, connection=store).job_ids == [job.id]
    assert job.id not in ScheduledJobRegistry(TRANSACTIONAL_QUEUE, connection=store)
    assert "jobs without an event record put aside" in caplog.messages
