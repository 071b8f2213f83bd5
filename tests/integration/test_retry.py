from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import redis
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.serializers import JSONSerializer

from surehook import Attempt, Event, Permanent, RetryLater, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.workers.handlers import registry
from tests.integration.conftest import Accept, Counts, RunWorker
from tests.support.ledger import is_balanced, ledger

MakeDue = Callable[..., int]


def the_job(store: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=store, serializer=JSONSerializer)


def test_an_event_is_handled_once_and_closed(accept: Accept, run_worker: RunWorker, store: redis.Redis) -> None:
    seen: list[Event] = []
    on("user.delete", name="it")(seen.append)

    event_id = accept()
    run_worker(turns=1)

    assert [str(event.id) for event in seen] == [event_id]
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}
    assert the_job(store, event_id).get_status() == JobStatus.FINISHED
    assert 3500 < store.ttl(f"surehook:event:{event_id}") <= 3600


def test_a_failing_handler_runs_again_until_its_budget_is_spent(
    accept: Accept, run_worker: RunWorker, make_due: MakeDue, store: redis.Redis
) -> None:
    numbers: list[int] = []

    @on("user.delete", name="it", retries=2, backoff=[60])
    def fail(event: Event, attempt: Attempt) -> None:
        numbers.append(attempt.number)
        raise OSError

    event_id = accept()
    run_worker()
    for _ in range(2):
        assert event_id in ScheduledJobRegistry("events", connection=store).get_job_ids()
        assert make_due() == 1
        run_worker()

    assert numbers == [1, 2, 3]
    assert FailedJobRegistry("events", connection=store).get_job_ids(cleanup=False) == [event_id]
    assert the_job(store, event_id).get_status() == JobStatus.FAILED
    assert ledger(store)["open"] == 1
    assert is_balanced(store)


def test_a_retry_waits_for_its_time(accept: Accept, run_worker: RunWorker, store: redis.Redis, claims_of: Any) -> None:
    @on("user.delete", name="it", backoff=[60])
    def fail(event: Event) -> None:
        raise OSError

    event_id = accept()
    run_worker()

    due = ScheduledJobRegistry("events", connection=store).get_scheduled_time(event_id)
    assert 40 < (due - datetime.now(due.tzinfo)).total_seconds() < 80
    assert claims_of().promote_due() == 0


def test_permanent_is_a_dead_letter_at_once(accept: Accept, run_worker: RunWorker, dead_letters: DeadLetters) -> None:
    @on("user.delete", name="it")
    def fail(event: Event) -> None:
        raise Permanent("no such plan")

    accept()
    run_worker()

    (letter,) = dead_letters.matching(Filter())
    assert (letter.handler, letter.error) == ("it", "Permanent: no such plan")
    assert "in fail" in dead_letters.traceback(letter)


def test_retry_later_spends_no_retry(accept: Accept, run_worker: RunWorker, make_due: MakeDue, counts: Counts) -> None:
    @on("user.delete", name="it", retries=1, backoff=[0])
    def later(event: Event, attempt: Attempt) -> None:
        if attempt.number < 4:
            raise RetryLater(3600)
        raise OSError

    accept()
    for _ in range(5):
        run_worker()
        make_due()

    assert [outcome for _, outcome in counts.runs] == ["later"] * 3 + ["failed", "dead letter"]


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_retry_later_takes_up_to_a_day(seconds: float) -> None:
    with pytest.raises(ValueError, match="86400"):
        RetryLater(seconds)


def test_an_event_without_handlers_is_closed_as_unhandled(
    accept: Accept, run_worker: RunWorker, store: redis.Redis
) -> None:
    on("user.create", name="it")(lambda event: None)

    event_id = accept("brand.new-type")
    run_worker()

    assert store.hget(f"surehook:event:{event_id}", "outcome") == b"unhandled"
    assert ledger(store) == {"open": 0, "accepted": 1, "done": 1}


def test_attempts_tell_the_story_of_the_last_fifty_runs(
    accept: Accept, run_worker: RunWorker, make_due: MakeDue, store: redis.Redis, dead_letters: DeadLetters
) -> None:
    @on("user.delete", name="it", retries=54, backoff=[0])
    def fail(event: Event) -> None:
        raise OSError("disk full")

    accept()
    for _ in range(55):
        run_worker()
        make_due()

    (letter,) = dead_letters.matching(Filter())
    attempts = dead_letters.attempts(letter)
    assert len(attempts) == 50
    assert (attempts[-1]["number"], attempts[-1]["outcome"]) == (55, "dead letter")
    assert attempts[0]["error"] == "OSError: disk full"


def test_sys_exit_in_a_handler_is_a_failure_not_the_end_of_the_worker(
    accept: Accept, run_worker: RunWorker, counts: Counts
) -> None:
    @on("user.delete", name="it")
    def leave(event: Event) -> None:
        raise SystemExit(0)

    accept()
    run_worker()

    assert counts.runs == [("it", "failed")]


def test_a_backoff_that_fails_does_not_cost_the_event(
    accept: Accept, run_worker: RunWorker, store: redis.Redis
) -> None:
    @on("user.delete", name="it", backoff=lambda retry: 1 / 0)
    def fail(event: Event) -> None:
        raise OSError

    event_id = accept()
    run_worker()

    assert store.zscore("rq:scheduled:events", event_id) is not None


def test_moving_due_jobs_twice_moves_them_once(
    accept: Accept, run_worker: RunWorker, make_due: MakeDue, store: redis.Redis
) -> None:
    @on("user.delete", name="it", backoff=[60])
    def fail(event: Event) -> None:
        raise OSError

    accept()
    run_worker()

    assert [make_due(), make_due()] == [1, 0]
    assert (store.zcard("rq:scheduled:events"), store.llen("rq:queue:events")) == (0, 1)


def test_a_failed_job_stays_with_its_handler_across_deployments(
    accept: Accept, run_worker: RunWorker, make_due: MakeDue, counts: Counts, store: redis.Redis
) -> None:
    @on("user.delete", name="charge", backoff=[0])
    def charge(event: Event) -> None:
        raise OSError

    event_id = accept()
    run_worker()
    registry.declared.clear()
    on("user.delete", name="another")(lambda event: None)
    make_due()
    run_worker()

    assert counts.runs == [("charge", "failed")]
    assert store.zscore("rq:scheduled:events", event_id) is not None
    on("user.delete", name="charge")(lambda event: None)
    make_due()
    run_worker()
    assert counts.runs == [("charge", "failed"), ("charge", "done")]
