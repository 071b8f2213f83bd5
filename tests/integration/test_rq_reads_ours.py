"""RQ's own tools read what our scripts write, at every stage of a job."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue, Retry, SimpleWorker
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from harness.stack import wait_until
from surehook import on
from surehook.shared.keys import Keys
from surehook.shared.scripts import text, texts
from surehook.shared.settings import Settings
from surehook.workers.rq_worker import RQWorkers, worker_names
from tests.integration.conftest import Accept, Open
from tests.integration.test_leases import an_attempt
from tests.support.worker_harness import WorkerHarness

REGISTRIES = ("finished", "failed", "scheduled", "deferred", "canceled")
COUNTS = ("successful_job_count", "failed_job_count")


def stock_fields(store: redis.Redis) -> set[str]:
    """The hash that RQ's own enqueue writes for a job like ours."""
    queue = Queue("stock", connection=store, serializer=JSONSerializer)
    job = queue.enqueue("operator.not_", 1, description="d", failure_ttl=-1, result_ttl=500, job_timeout=30)
    return set(texts(store.hkeys(job.key)))


def the_job(store: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=store, serializer=JSONSerializer)


def test_a_waiting_job_has_the_fields_of_rqs_own(accept: Accept, store: redis.Redis) -> None:
    event_id = accept()

    ours = set(texts(store.hkeys(f"rq:job:{event_id}")))

    assert stock_fields(store) - ours == set()
    assert the_job(store, event_id).get_status() == JobStatus.QUEUED
    assert Queue("events", connection=store, serializer=JSONSerializer).get_job_ids() == [event_id]


def test_a_running_job_is_started_to_rq_and_stays_so_under_its_maintenance(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()

    registry = StartedJobRegistry("events", connection=store, serializer=JSONSerializer)
    registry.cleanup()

    assert registry.get_job_ids() == [event_id]
    assert the_job(store, event_id).get_status() == JobStatus.STARTED
    execution = Execution.fetch(claim.token, event_id, connection=store)
    assert execution.job_id == event_id


def test_a_scheduled_a_finished_and_a_failed_job_stand_in_their_registries(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    retried, finished, failed = accept(), accept(), accept()
    claims = claims_of()
    claims.retry(claims.claim(), an_attempt(), "tb", delay_seconds=60, spends_retry=True)
    claims.finish(claims.claim(), "done", an_attempt())
    claims.bury(claims.claim(), an_attempt(), "Traceback: bad")

    for registry, job_id in (
        (ScheduledJobRegistry, retried),
        (FinishedJobRegistry, finished),
        (FailedJobRegistry, failed),
    ):
        assert registry("events", connection=store, serializer=JSONSerializer).get_job_ids() == [job_id]
    result = the_job(store, failed).latest_result()
    assert (result.type, result.exc_string, result.worker_name) == (result.Type.FAILED, "Traceback: bad", "one")
    assert the_job(store, finished).latest_result().type == result.Type.SUCCESSFUL
    registry = FailedJobRegistry("events", connection=store, serializer=JSONSerializer)
    assert registry.get_expiration_time(the_job(store, failed)).year > 5000
    registry.cleanup()
    assert registry.get_job_ids() == [failed]


def test_a_stock_worker_on_our_queue_buries_the_event_with_a_sentence(
    accept: Accept, store: redis.Redis, dead_letters: Any
) -> None:
    event_id = accept()

    SimpleWorker(["events"], connection=store, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")

    (letter,) = dead_letters.of(event_id)
    assert "is for `surehook worker`" in dead_letters.traceback(letter)
    assert dead_letters.replay(letter)


def left_behind(store: redis.Redis, queue: str, job_id: str) -> dict[str, object]:
    """The traces of a run in the store, without those that differ from run to run."""
    results: Any = store.xrange(f"rq:results:{job_id}")
    job: Any = store.hgetall(f"rq:job:{job_id}")
    due_in = (store.zscore(f"rq:scheduled:{queue}", job_id) or 0) - time.time()
    workers = [key for key in store.scan_iter("rq:worker:*") if not key.endswith(b":executions")]
    return {
        "status": job[b"status"],
        "instants": {name for name in (b"created_at", b"enqueued_at", b"started_at", b"ended_at") if job[name]},
        "result": [(fields[b"type"], b"exc_string" in fields) for _, fields in results],
        "registries": [name for name in REGISTRIES if store.zscore(f"rq:{name}:{queue}", job_id) is not None],
        "waits": job_id.encode() in store.lrange(f"rq:queue:{queue}", 0, -1),
        "due in a minute or so": 30 < due_in < 90,
        "expires": {key: 0 < store.ttl(f"rq:{key}:{job_id}") <= 500 for key in ("job", "results")},
        "still running": [*store.scan_iter("rq:execution*"), *store.scan_iter(f"rq:wip:{queue}")],
        "counts": {(name, text(store.hget(key, name))) for key in workers for name in COUNTS},
    }


def let_stock_run(store: redis.Redis, *call: Any, retry: Retry | None = None) -> dict[str, object]:
    """The traces of a run by RQ's own worker, which it removes. Its name may begin with anything."""
    queue = Queue("stock", connection=store, serializer=JSONSerializer)
    job = queue.enqueue(*call, failure_ttl=-1, retry=retry)
    worker = SimpleWorker([queue], connection=store, serializer=JSONSerializer, name="e1")
    worker.work(burst=True, logging_level="CRITICAL")
    left = left_behind(store, "stock", job.id)
    store.flushall()
    return left


def let_ours_run(store: redis.Redis, worker_harness: WorkerHarness, registry: str) -> None:
    RQWorkers(store, Keys(), "events", [worker_harness.workers[0].name]).register()
    worker_harness.start()
    wait_until(lambda: store.zcard(f"rq:{registry}:events") == 1)


def test_a_finished_job_leaves_what_rqs_own_worker_leaves(
    accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    stock = let_stock_run(store, "operator.not_", 1)
    on("user.delete", name="it")(lambda event: None)
    event_id = accept()

    worker_harness = open_worker_harness(threads=1)
    let_ours_run(store, worker_harness, "finished")

    assert left_behind(store, "events", event_id) == stock
    finished = the_job(store, event_id)
    assert finished.worker_name == worker_harness.workers[0].name
    assert finished.enqueued_at <= finished.started_at <= finished.ended_at


@pytest.mark.parametrize(
    ("retries", "registry", "status"),
    [
        pytest.param(0, "failed", JobStatus.FAILED, id="dead"),
        pytest.param(3, "scheduled", JobStatus.SCHEDULED, id="to be retried"),
    ],
)
def test_a_failed_job_leaves_what_rqs_own_worker_leaves(
    retries: int, registry: str, status: JobStatus, accept: Accept, open_worker_harness: Open, store: redis.Redis
) -> None:
    retry = Retry(retries, interval=60) if retries else None
    stock = let_stock_run(store, "operator.truediv", 1, 0, retry=retry)
    on("user.delete", name="it", retries=retries, backoff=[60])(lambda event: 1 / 0)
    event_id = accept()

    worker_harness = open_worker_harness(threads=1)
    let_ours_run(store, worker_harness, registry)

    if retries:
        stock["result"] = [(b"4", True)]  # RQ keeps no trace of a run that it retries after a while; we do, as RETRIED
    assert left_behind(store, "events", event_id) == stock
    failed = the_job(store, event_id)
    assert failed.get_status() == status
    assert failed.worker_name == worker_harness.workers[0].name
    result = failed.latest_result()
    assert result is not None
    assert "ZeroDivisionError: division by zero" in str(result.exc_string)


def test_rq_info_reads_everything(accept: Accept, run_worker: Any, settings: Settings, store: redis.Redis) -> None:
    accept()
    accept()
    run_worker()
    RQWorkers(store, Keys(), "events", worker_names("w", 2)).register()
    url = f"unix://{settings.data_dir}/store.sock"

    shown = subprocess.run(
        [str(Path(sys.executable).with_name("rq")), "info", "--url", url], capture_output=True, text=True, check=True
    ).stdout

    assert "events       |█ 1, 0 executing, 1 finished, 0 failed" in shown
    assert "w.1" in shown
    assert "w.2" in shown


def test_a_worker_is_registered_as_rq_registers_its_own(store: redis.Redis) -> None:
    RQWorkers(store, Keys(), "events", ["ours"]).register()
    stock = SimpleWorker(["events"], connection=store, name="stock", worker_ttl=30)
    stock.register_birth()
    stock.set_state(WorkerStatus.IDLE)

    ours, theirs = (store.hgetall(f"rq:worker:{name}") for name in ("ours", "stock"))

    assert ours.keys() == theirs.keys()
    same = [b"queues", b"pid", b"hostname", b"version", b"python_version", b"state"]
    assert [ours[name] for name in same] == [theirs[name] for name in same]
    assert abs(store.ttl("rq:worker:ours") - store.ttl("rq:worker:stock")) <= 1
    assert {worker.name for worker in SimpleWorker.all(connection=store)} == {"ours", "stock"}
    RQWorkers(store, Keys(), "events", ["ours"]).unregister()
    stock.register_death()
    assert store.hgetall("rq:worker:ours").keys() == store.hgetall("rq:worker:stock").keys()
    assert not store.exists("rq:workers", "rq:workers:events")


def test_a_timeout_of_less_than_a_second_does_not_stop_rq_from_reading_the_job(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [("quick", "events", 0.3), ("other", "events", 2.5)])

    assert the_job(store, f"{event_id}_quick").timeout == 1
    assert the_job(store, f"{event_id}_other").timeout == 3
