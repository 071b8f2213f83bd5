"""A job's hash is deleted by hand while it runs or waits: afterwards RQ's tools read it as before."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from surehook.admin.dead_letters import DeadLetters
from surehook.shared.keys import Keys
from surehook.workers.claim import Claim
from surehook.workers.queue import acks
from surehook.workers.queue.claims import ClaimState
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import NO_HANDLERS, an_attempt, let_lapse
from tests.support.claiming import SingleClaims

End = Callable[[SingleClaims, redis.Redis, Claim], object]


def finish(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    return claims.finish(claim, "done", an_attempt())


def retry(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    return claims.retry(claim, an_attempt(), "tb", delay_seconds=60, spends_retry=True)


def bury(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    return claims.bury(claim, an_attempt(), "tb")


def give_back(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    return claims.give_back(claim, delay_seconds=0)


def die(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    let_lapse(store, claim)
    return interrupt(claims, NO_HANDLERS, store, KEYS, claim.key) == "requeued"


def leave_it_reserved(claims: SingleClaims, store: redis.Redis, claim: Claim) -> object:
    return interrupt(claims, NO_HANDLERS, store, KEYS, claim.key, state=ClaimState.RESERVED) == "returned"


def renew(claims: SingleClaims, claim: Claim) -> None:
    assert claims.renew([claim.key]) == []


def start(claims: SingleClaims, claim: Claim) -> None:
    assert claims.acknowledge(acks.start(claim))


def fetch(store: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=store, serializer=JSONSerializer)


@pytest.mark.parametrize(
    "before_deletion", [lambda *_: None, renew, start], ids=["at once", "renewed", "shown as running"]
)
@pytest.mark.parametrize("end", [finish, retry, bury, give_back, die, leave_it_reserved], ids=lambda end: end.__name__)
def test_a_job_deleted_while_it_runs_is_whole_again_when_its_run_ends(
    end: End, before_deletion: Callable[[SingleClaims, Claim], None], accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    before = set(fetch(store, event_id).to_dict())
    claims = claims_of()
    claim = claims.claim()

    store.delete(Keys().rq_job(event_id))
    before_deletion(claims, claim)
    assert end(claims, store, claim)

    job = fetch(store, event_id)
    assert set(job.to_dict()) >= before
    assert (job.origin, job.args, job.timeout) == ("events", [event_id], 30)
    assert job.get_status() != "started"


def test_a_dead_letter_whose_job_was_deleted_while_it_ran_is_replayed(
    accept: Accept, claims_of: Any, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()
    store.delete(Keys().rq_job(event_id))
    bury(claims_of(), store, claim)

    assert dead_letters.replay_job(event_id) == 1
    assert claims_of().claim().job_id == event_id


@pytest.mark.parametrize("left", [{}, {"status": "failed"}], ids=["nothing", "a fragment"])
def test_a_dead_letter_whose_job_was_deleted_afterwards_is_replayed(
    left: dict[str, str], accept: Accept, claims_of: Any, dead_letters: DeadLetters, store: redis.Redis
) -> None:
    event_id = accept()
    bury(claims_of(), store, claims_of().claim())
    store.delete(Keys().rq_job(event_id))
    for name, value in left.items():
        store.hset(Keys().rq_job(event_id), name, value)

    assert dead_letters.replay_job(event_id) == 1
    assert fetch(store, event_id).args == [event_id]


def test_a_retry_whose_job_was_deleted_while_it_waited_is_whole_when_it_is_due(
    accept: Accept, claims_of: Any, make_due: Callable[..., int], store: redis.Redis
) -> None:
    event_id = accept()
    retry(claims_of(), store, claims_of().claim())
    store.delete(Keys().rq_job(event_id))

    assert make_due() == 1
    assert fetch(store, event_id).args == [event_id]
    assert claims_of().claim().job_id == event_id
