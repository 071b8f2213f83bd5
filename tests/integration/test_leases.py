"""Claims, leases and fencing: what a slow or dead worker may still do."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.registry import ScheduledJobRegistry
from rq.serializers import JSONSerializer

from surehook.admin.dead_letters import Filter
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims, ClaimState
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept
from tests.support.ledger import is_balanced

NO_HANDLERS = Registry([])


def an_attempt() -> AttemptRecord:
    from datetime import UTC, datetime

    return AttemptRecord("it", 1, datetime.now(UTC), 5, "failed", "OSError")


def let_lapse(store: redis.Redis, claim: Claim) -> None:
    store.zadd(KEYS.leases(claim.queue), {claim.key: 1})


def snapshot(store: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: store.dump(key) for key in store.scan_iter()}


def recover(claims: Claims, store: redis.Redis) -> list[str]:
    return [interrupt(claims, NO_HANDLERS, store, KEYS, key) for key in claims.expired()]


def test_a_lapsed_job_is_back_in_its_queue_and_counted(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claim = claims_of("dead").claim()
    let_lapse(store, claim)

    assert recover(claims_of("other"), store) == ["requeued"]
    again = claims_of("other").claim()

    assert (again.job_id, again.runs, again.interruptions) == (event_id, 2, 1)
    assert is_balanced(store)


def test_a_dead_machines_job_is_back_although_the_stores_clock_was_set_back(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    accept()
    claim = claims_of("dead").claim()
    an_hour_later = store.time()[0] * 1000 + 3_600_000
    store.zadd(KEYS.leases("events"), {claim.key: an_hour_later})

    assert recover(claims_of("other"), store) == ["requeued"]

    assert is_balanced(store)


def test_a_lease_in_force_is_left_alone(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    accept()
    claim = claims_of("alive").claim()
    let_lapse(store, claim)

    assert claims_of("alive").renew([claim.key]) == []

    assert recover(claims_of("other"), store) == []


def test_a_lease_that_is_renewed_between_the_look_and_the_recovery_is_left_alone(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of("alive").claim()
    let_lapse(store, claim)
    (expired,) = claims_of("other").expired()

    assert claims_of("alive").renew([claim.key]) == []

    assert interrupt(claims_of("other"), NO_HANDLERS, store, KEYS, expired) == "stale"
    assert claims_of("alive").finish(claim, "done", an_attempt())
    assert store.llen("rq:queue:events") == 0
    assert store.llen(KEYS.attempts(event_id)) == 1


@pytest.mark.parametrize("registry", ["failed", "scheduled"])
def test_a_job_that_is_claimed_is_in_no_registry_any_more(
    registry: str, accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    store.zadd(f"rq:{registry}:events", {event_id: 1e12})  # as a requeue of RQ's leaves it that was killed half-way

    assert claims_of().claim().job_id == event_id

    assert store.zcard(f"rq:{registry}:events") == 0


@pytest.mark.parametrize("state", list(ClaimState), ids=lambda state: state.value)
def test_a_job_whose_record_was_deleted_while_it_ran_is_not_run_again(
    state: ClaimState, accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of("dead").claim()
    let_lapse(store, claim)
    store.delete(KEYS.event(event_id))

    assert interrupt(claims_of("other"), NO_HANDLERS, store, KEYS, claim.key, state=state) == "stale"

    assert store.llen("rq:queue:events") == 0
    assert not store.exists(f"rq:job:{event_id}", KEYS.event(event_id), KEYS.leases("events"))


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda claims, claim: claims.finish(claim, "done", an_attempt()), id="finish"),
        pytest.param(lambda claims, claim: claims.bury(claim, an_attempt(), "tb"), id="bury"),
        pytest.param(
            lambda claims, claim: claims.retry(claim, an_attempt(), "tb", delay_seconds=0, spends_retry=True),
            id="retry",
        ),
        pytest.param(lambda claims, claim: claims.give_back(claim, delay_seconds=0), id="give back"),
        pytest.param(lambda claims, claim: claims.fan_out(claim, [("a", "events", 1.0)]), id="fan out"),
    ],
)
def test_a_worker_that_lost_its_claim_changes_nothing(
    late: Callable[[Claims, Claim], bool], accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    accept()
    slow = claims_of("slow").claim()
    let_lapse(store, slow)
    recover(claims_of("other"), store)
    claims_of("other").claim()
    before = snapshot(store)

    assert not late(claims_of("slow"), slow)

    exchange = KEYS.exchange("slow").encode()  # says that there was one, and nothing else may have changed
    assert snapshot(store) | {exchange: b""} == before | {exchange: b""}
    assert claims_of("slow").renew([slow.key]) == [slow.key]


def test_a_job_that_kills_its_process_three_times_is_a_dead_letter(
    accept: Accept, claims_of: Any, dead_letters: Any, store: redis.Redis
) -> None:
    accept()
    outcomes = []
    for _ in range(3):
        let_lapse(store, claims_of("dies").claim())
        outcomes += recover(claims_of("other"), store)

    assert outcomes == ["requeued", "requeued", "buried"]
    (letter,) = dead_letters.matching(Filter())
    assert "died 3 times" in dead_letters.traceback(letter)
    assert dead_letters.replay(letter)
    assert claims_of("fresh").claim().interruptions == 0


def test_a_clean_restart_does_not_count_as_a_kill(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    accept()
    for _ in range(4):
        claim = claims_of("stopped").claim()
        interrupt(claims_of("pool"), NO_HANDLERS, store, KEYS, claim.key, state=ClaimState.STARTED, counts=False)

    assert claims_of("fresh").claim().interruptions == 0


def test_a_job_that_stands_twice_in_its_queue_runs_once_at_a_time(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    store.rpush("rq:queue:events", event_id)

    assert claims_of("one").claim() is not None
    assert claims_of("two").claim() is None


def test_a_closed_events_job_is_not_run_again(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().finish(claims_of().claim(), "done", None)
    store.rpush("rq:queue:events", event_id)

    assert claims_of().claim() is None


def test_scripts_survive_being_flushed(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    accept()
    store.script_flush()

    assert claims_of().claim() is not None


def test_nothing_is_left_of_a_claim_once_it_is_settled(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().finish(claims_of().claim(), "done", an_attempt())

    lasting = {key.decode() for key in store.scan_iter() if store.ttl(key) == -1}

    index = {KEYS.index_segments, KEYS.index_state}
    assert (
        lasting == {KEYS.known_ids(event_id[-4:]), KEYS.ledger, KEYS.queues, "rq:queues", "rq:finished:events"} | index
    )
    assert store.exists(KEYS.event(event_id))


def test_another_applications_job_is_put_aside_unharmed(claims_of: Any, store: redis.Redis) -> None:
    job = Queue("events", connection=store, serializer=JSONSerializer).enqueue("operator.not_", 1)

    assert claims_of().claim() is None

    assert ScheduledJobRegistry("events", connection=store).get_job_ids() == [job.id]
    assert Job.fetch(job.id, connection=store, serializer=JSONSerializer).args == [1]
