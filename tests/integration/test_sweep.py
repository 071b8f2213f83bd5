"""The sweep: an open event always has a job."""

from typing import Any

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from tests.integration.conftest import Accept
from tests.integration.test_leases import an_attempt


def lose_the_job(store: redis.Redis, event_id: str) -> None:
    store.delete(f"rq:job:{event_id}")
    store.lrem("rq:queue:events", 0, event_id)


def test_an_open_event_without_a_job_is_queued_again(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    lose_the_job(store, event_id)

    assert claims_of().sweep([event_id]) == [event_id]

    assert store.lrange("rq:queue:events", 0, -1) == [event_id.encode()]
    assert claims_of().sweep([event_id]) == []
    assert Job.fetch(event_id, connection=store, serializer=JSONSerializer).get_status() == JobStatus.QUEUED


def test_a_requeue_that_was_killed_half_way_is_finished(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().bury(claims_of().claim(), an_attempt(), "tb")
    store.zrem("rq:failed:events", event_id)  # what RQ does first

    assert claims_of().sweep([event_id]) == [event_id]


def test_a_stock_worker_that_died_before_the_start_loses_nothing(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    event_id = accept()
    store.lmove("rq:queue:events", "rq:queue:events:intermediate", "LEFT", "RIGHT")

    assert claims_of().sweep([event_id]) == [event_id]
    assert store.llen("rq:queue:events:intermediate") == 0


@pytest.mark.parametrize(
    "put",
    [
        pytest.param(lambda claims: None, id="waiting"),
        pytest.param(lambda claims: claims.claim(), id="running"),
        pytest.param(
            lambda claims: claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True),
            id="scheduled",
        ),
        pytest.param(lambda claims: claims.bury(claims.claim(), an_attempt(), ""), id="dead"),
        pytest.param(lambda claims: claims.give_back(claims.claim(), delay_seconds=0), id="given back"),
        pytest.param(lambda claims: claims.finish(claims.claim(), "done", None), id="closed"),
    ],
)
def test_an_event_that_has_a_job_is_left_alone(put: Any, accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_ids = [accept() for _ in range(3)]
    put(claims_of())

    assert claims_of().sweep(event_ids) == []
    assert claims_of().sweep(event_ids) == []


def test_a_handlers_own_job_is_found_missing_too(accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [("one", "events", 30.0), ("two", "other", 30.0)])
    store.delete(f"rq:job:{event_id}_two", "rq:queue:other")

    assert claims_of().sweep([event_id]) == [f"{event_id}_two"]
    assert store.lrange("rq:queue:other", 0, -1) == [f"{event_id}_two".encode()]


def test_what_was_lost_behind_a_backlog_is_found_when_its_turn_comes(
    accept: Accept, claims_of: Any, store: redis.Redis
) -> None:
    first, lost, last = accept(), accept(), accept()
    store.lrem("rq:queue:events", 0, lost)

    assert claims_of().sweep([first, lost, last]) == []  # its place is still ahead
    claims_of().finish(claims_of().claim(), "done", None)

    assert claims_of().sweep([lost, last]) == [lost]
