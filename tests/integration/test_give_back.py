"""A claim that is given back uncounted leaves its job, to RQ, as one that no worker has claimed yet."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from surehook.shared.stats import StatsReader
from surehook.workers.claim import Claim
from surehook.workers.maintenance.missing_jobs import MissingJobs
from surehook.workers.queue.claims import ClaimState
from surehook.workers.supervisor.interruption import interrupt
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import NO_HANDLERS, let_lapse
from tests.support.claiming import SingleClaims


def as_rq_has_it(store: redis.Redis, job_id: str) -> dict[str, object]:
    """The fields of a job that RQ's tools show."""
    job = Job.fetch(job_id, connection=store, serializer=JSONSerializer)
    stored: Any = store.hgetall(job.key)
    del stored[b"last_heartbeat"]
    return {
        **stored,
        "status": job.get_status(),
        "began and ended": (job.started_at, job.ended_at),
        "waiting": Queue("events", connection=store, serializer=JSONSerializer).get_job_ids(),
        "running": StartedJobRegistry("events", connection=store, serializer=JSONSerializer).get_job_ids(),
        "executions": [each.id for each in job.get_executions()],
    }


def take(claims: SingleClaims, store: redis.Redis, *, starts: bool) -> Claim:
    """Claims as an exchange does: a job that does not start immediately is reserved."""
    arguments = claims.exchange_arguments(1, (), wanted=1, starting=int(starts))
    (claim,) = claims.parse_reply(claims.exchange_script().run(store, *arguments)).claims
    return claim


def by_its_process(claims: SingleClaims, store: redis.Redis, claim: Claim) -> None:
    assert claims.give_back(claim, delay_seconds=0)


def by_the_parent(claims: SingleClaims, store: redis.Redis, claim: Claim) -> None:
    assert interrupt(claims, NO_HANDLERS, store, KEYS, claim.key, state=ClaimState.RESERVED) == "returned"


def by_others_when_it_lapsed(claims: SingleClaims, store: redis.Redis, claim: Claim) -> None:
    let_lapse(store, claim)
    assert interrupt(claims, NO_HANDLERS, store, KEYS, claim.key) == "returned"


@pytest.mark.parametrize(
    ("give_back", "starts"),
    [
        pytest.param(by_its_process, False, id="reserved, by its process"),
        pytest.param(by_its_process, True, id="shown as running, by its process"),
        pytest.param(by_the_parent, False, id="reserved, by the parent"),
        pytest.param(by_the_parent, True, id="shown as running, by the parent"),
        pytest.param(by_others_when_it_lapsed, False, id="reserved, when it lapsed"),
    ],
)
def test_a_job_given_back_uncounted_looks_to_rq_as_before(
    give_back: Callable[[SingleClaims, redis.Redis, Claim], None],
    starts: bool,
    accept: Accept,
    claims_of: Any,
    store: redis.Redis,
) -> None:
    event_id = accept()
    before, since = as_rq_has_it(store, event_id), StatsReader(store, KEYS).read().read_at
    claim = take(claims_of(), store, starts=starts)

    give_back(claims_of(), store, claim)

    assert as_rq_has_it(store, event_id) == before
    assert store.hget(KEYS.event(event_id), "runs:") == b"0"
    # A sweep that looked before and after sees that it has moved, and does not queue it twice.
    store.lrem("rq:queue:events", 0, event_id)
    assert MissingJobs(store, KEYS, handler_timeout=30).queue_again([event_id], since=since) == []
