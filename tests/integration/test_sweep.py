"""The sweep: an open event always has a job."""

from typing import Any

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from surehook.admin.dead_letters import Filter
from surehook.shared.stats import Stats, StatsReader
from surehook.workers.maintenance import sweeper as sweep_module
from surehook.workers.maintenance.missing_jobs import MissingJobs
from surehook.workers.maintenance.sweeper import Sweep, Sweeper
from tests.integration.conftest import KEYS, Accept, Counts
from tests.integration.test_leases import NO_HANDLERS, an_attempt


def lose_the_job(store: redis.Redis, event_id: str) -> None:
    store.delete(f"rq:job:{event_id}")
    store.lrem("rq:queue:events", 0, event_id)


def stats_of(store: redis.Redis) -> Stats:
    return StatsReader(store, KEYS).read()


def test_an_open_event_without_a_job_is_queued_again(accept: Accept, look: Any, store: redis.Redis) -> None:
    event_id = accept()
    lose_the_job(store, event_id)

    assert look() == [event_id]

    assert store.lrange("rq:queue:events", 0, -1) == [event_id.encode()]
    assert look() == []
    assert Job.fetch(event_id, connection=store, serializer=JSONSerializer).get_status() == JobStatus.QUEUED


def test_a_requeue_that_was_killed_half_way_is_finished(
    accept: Accept, claims_of: Any, look: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claims_of().bury(claims_of().claim(), an_attempt(), "tb")
    store.zrem("rq:failed:events", event_id)  # RQ's first step

    assert look() == [event_id]


def test_a_stock_worker_that_died_before_the_start_loses_nothing(accept: Accept, look: Any, store: redis.Redis) -> None:
    event_id = accept()
    store.lmove("rq:queue:events", "rq:queue:events:intermediate", "LEFT", "RIGHT")

    assert look() == [event_id]
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
        pytest.param(
            lambda claims: claims.fan_out(claims.claim(), [("a", "events", 30.0), ("b", "other", 30.0)]), id="split"
        ),
    ],
)
def test_an_event_that_has_its_jobs_is_left_alone(
    put: Any, accept: Accept, claims_of: Any, look: Any, store: redis.Redis
) -> None:
    for _ in range(3):
        accept()
    put(claims_of())

    assert look() == []
    assert look() == []
    assert stats_of(store).drift == 0


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
    ],
)
def test_a_suspect_that_has_a_job_is_left_alone(put: Any, accept: Accept, claims_of: Any, store: redis.Redis) -> None:
    event_id = accept()
    put(claims_of())

    assert MissingJobs(store, KEYS, handler_timeout=30).queue_again([event_id], since="9999") == []


def test_a_handlers_own_job_is_found_missing_too(accept: Accept, claims_of: Any, look: Any, store: redis.Redis) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [("one", "events", 30.0), ("two", "other", 30.0)])
    store.delete(f"rq:job:{event_id}_two", "rq:queue:other")

    assert look() == [f"{event_id}_two"]
    assert store.lrange("rq:queue:other", 0, -1) == [f"{event_id}_two".encode()]


def test_a_job_of_a_paused_queue_is_not_lost(accept: Accept, look: Any, store: redis.Redis) -> None:
    accept()
    store.sadd(KEYS.paused, "events")

    assert look() == []


@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_lost_job_is_found_in_every_state(
    position: int, accept: Accept, look: Any, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "FEW_OPEN", 0)
    monkeypatch.setattr("surehook.workers.maintenance.job_index.PAGE", 2)
    event_ids = [accept() for _ in range(5)]
    assert look() == []
    store.lrem("rq:queue:events", 0, event_ids[position])  # its hash still says it is queued

    assert look() == [event_ids[position]]
    assert look() == []


def test_with_a_long_backlog_nothing_is_looked_up_until_the_counts_change(
    accept: Accept, look: Any, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "FEW_OPEN", 0)
    for _ in range(3):
        accept()
    store.rpush("rq:queue:events", "another-applications-job")
    look()
    read = store.info("commandstats").get("cmdstat_lrange", {"calls": 0})["calls"]

    accept()
    look()
    assert store.info("commandstats").get("cmdstat_lrange", {"calls": 0})["calls"] == read

    store.delete(KEYS.sweep_mark)  # as it does by itself after some minutes
    look()
    assert store.info("commandstats")["cmdstat_lrange"]["calls"] > read


@pytest.mark.parametrize(("sweep_seconds", "rest_seconds"), [(0.1, 8), (5, 100), (60, 300)])
def test_a_loss_that_a_copy_hides_is_found_soon_unless_the_backlog_is_huge(
    sweep_seconds: float, rest_seconds: int, accept: Accept, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "FEW_OPEN", 0)
    instants = iter([0.0, sweep_seconds, 0.0, 0.0])
    sweep = Sweep(store, KEYS, NO_HANDLERS, handler_timeout=30, clock=lambda: next(instants))
    lost, doubled = accept(), accept()
    assert sweep.run() == []
    lose_the_job(store, lost)
    store.rpush("rq:queue:events", doubled)
    store.delete(KEYS.sweep_lock)
    assert sweep.run() == []  # the counts are the same

    assert rest_seconds - 5 < store.ttl(KEYS.sweep_mark) <= rest_seconds

    store.delete(KEYS.sweep_mark, KEYS.sweep_lock)  # as they do by themselves
    assert sweep.run() == [lost]


def test_a_head_of_the_queue_that_another_application_wrote_does_not_stop_the_sweep(
    accept: Accept, look: Any, store: redis.Redis
) -> None:
    lost = accept()
    lose_the_job(store, lost)
    store.hset("rq:job:theirs", "enqueued_at", "yesterday")
    store.rpush("rq:queue:events", "theirs")

    assert look() == [lost]


def test_a_job_that_moved_during_the_scan_is_left_to_the_next_one(accept: Accept, store: redis.Redis) -> None:
    before = stats_of(store).read_at
    event_id = accept()
    store.lrem("rq:queue:events", 0, event_id)
    lost = MissingJobs(store, KEYS, handler_timeout=30)

    assert lost.queue_again([event_id], since=before) == []
    assert lost.queue_again([event_id], since=stats_of(store).read_at) == [event_id]


def test_an_event_whose_record_is_gone_cannot_be_queued(accept: Accept, look: Any, store: redis.Redis) -> None:
    event_id = accept()
    lose_the_job(store, event_id)
    store.delete(KEYS.event(event_id))

    assert look() == []
    assert stats_of(store).imbalance == 1


def test_only_one_process_sweeps_at_a_time(accept: Accept, look: Any, store: redis.Redis) -> None:
    look()
    lose_the_job(store, accept())

    assert Sweep(store, KEYS, NO_HANDLERS, handler_timeout=30).run() == []
    assert 0 < store.pttl(KEYS.sweep_lock) <= sweep_module.LOCK_MS < sweep_module.SWEEP_EVERY_SECONDS * 1000


def test_the_sweeper_counts_what_it_found(accept: Accept, counts: Counts, store: redis.Redis) -> None:
    lose_the_job(store, accept())
    metrics: Any = counts

    Sweeper(Sweep(store, KEYS, NO_HANDLERS, handler_timeout=30), metrics).tick()

    assert counts.discarded == 1


def test_drift_stays_constant_through_an_events_whole_life(
    accept: Accept, claims_of: Any, make_due: Any, dead_letters: Any, store: redis.Redis
) -> None:
    """Each line is one script: after each, jobs minus open events must be what it was."""
    claims = claims_of()
    steps = [
        accept,
        lambda: claims.fan_out(claims.claim(), [("a", "events", 1.0), ("b", "events", 1.0), ("c", "events", 1.0)]),
        lambda: claims.finish(claims.claim(), "done", None),
        lambda: claims.retry(claims.claim(), an_attempt(), "", delay_seconds=60, spends_retry=True),
        make_due,
        lambda: claims.bury(claims.claim(), an_attempt(), ""),
        lambda: [dead_letters.replay(letter) for letter in dead_letters.matching(Filter())],
        lambda: claims.give_back(claims.claim(), delay_seconds=0),
        lambda: claims.bury(claims.claim(), an_attempt(), ""),
        lambda: [dead_letters.discard(letter) for letter in dead_letters.matching(Filter())],
        lambda: claims.finish(claims.claim(), "done", None),
    ]

    for number, step in enumerate(steps):
        step()
        assert (stats_of(store).drift, stats_of(store).off_by) == (0, 0), number

    assert stats_of(store).open == 0
    assert int(store.get(KEYS.extra_jobs) or 0) == 0
