"""The job scan counts and locates the jobs of each event without a lookup for each job."""

from typing import Any

import pytest
import redis

from surehook.shared.scripts import Script
from surehook.shared.stats import StatsReader
from surehook.workers.maintenance import missing_jobs
from surehook.workers.maintenance.job_index import EVENT_MASK, JobIndex, JobScan, JobState
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_leases import an_attempt

PARTS = [("mail", "events", 30.0), ("crm", "events", 30.0), ("audit", "other", 30.0)]


@pytest.fixture
def split(accept: Accept, claims_of: Any, store: redis.Redis) -> Any:
    def split() -> str:
        event_id = accept()
        store.lmove("rq:queue:events", "rq:queue:events", "RIGHT", "LEFT")  # before the parts of others
        claims_of().fan_out(claims_of().claim(), PARTS)
        return event_id

    return split


def asked_by_name(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The events whose jobs are looked up by name from now on."""
    asked: list[bytes] = []
    run = Script.run

    def remember(self: Script, to: Any, *args: Any) -> Any:
        if self.sha == Script("expected_jobs", KEYS).sha:
            asked.extend(args)
        return run(self, to, *args)

    monkeypatch.setattr(Script, "run", remember)
    return asked


def test_events_with_all_their_extra_jobs_are_only_counted(
    split: Any, claims_of: Any, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    split()
    claims_of().finish(claims_of().claim(), "done", an_attempt())  # two of three are left
    split()
    split()
    asked = asked_by_name(store, monkeypatch)

    tally = JobScan(store, KEYS).run()

    assert (tally.suspects, tally.events, asked) == ([], {JobState.WAITING: 3}, [])


def test_a_copy_of_one_part_does_not_hide_that_another_is_missing(
    split: Any, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, torn = split(), split()
    store.lrem("rq:queue:events", 0, f"{torn}_crm")
    store.rpush("rq:queue:events", f"{torn}_mail")
    asked = asked_by_name(store, monkeypatch)

    tally = JobScan(store, KEYS).run()

    assert tally.suspects == [f"{torn}_crm"]
    assert asked == [torn.encode()]
    assert whole not in tally.suspects


def test_an_event_with_one_running_job_counts_as_running(split: Any, claims_of: Any, store: redis.Redis) -> None:
    split()
    claims_of().claim()

    assert JobScan(store, KEYS).run().events == {JobState.RUNNING: 1}


def test_a_split_event_without_any_job_is_missed_entirely(split: Any, store: redis.Redis) -> None:
    event_id = split()
    store.delete("rq:queue:events", "rq:queue:other")

    assert set(JobScan(store, KEYS).run().suspects) == {f"{event_id}_{name}" for name, _, _ in PARTS}


@pytest.mark.parametrize("few", [pytest.param(10, id="looked for one by one"), pytest.param(0, id="read once more")])
def test_a_job_missed_by_the_scan_is_found_in_its_queue(
    few: int, accept: Accept, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_jobs, "FEW", few)
    waiting, gone = accept(), accept()
    store.lrem("rq:queue:events", 0, gone)
    since = StatsReader(store, KEYS).read().read_at

    assert missing_jobs.MissingJobs(store, KEYS, handler_timeout=30).queue_again([waiting, gone], since=since) == [gone]
    assert store.lrange("rq:queue:events", 0, -1) == [waiting.encode(), gone.encode()]


def test_events_whose_hashes_begin_alike_are_told_apart_by_name() -> None:
    places = JobIndex()
    ids = [f"{number:036}".encode() for number in range(300)]
    for number, event_id in enumerate(ids):
        places.add(JobState.WAITING, [event_id + b"_one", event_id + b"_two"] if number % 2 else [event_id])
    places.sort()

    assert [places.find_event(each) for each in ids] == [(JobState.WAITING, 2 * (number % 2)) for number in range(300)]
    assert places.find_event(b"0" * 35 + b"x") == (None, 0)
    assert {places.find(ids[1] + b"_one"), places.find(ids[1] + b"_three")} == {JobState.WAITING, None}
    assert hash(ids[1]) & EVENT_MASK != hash(ids[2]) & EVENT_MASK
