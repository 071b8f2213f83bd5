"""Each act from a page is a line of the dashboard's log: who did what, without personal data."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from harness.events import USER_ID
from harness.stack import wait_until
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.shared.job_id import JobId
from surehook.shared.log import facts_of
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from tests.integration.test_dashboard_acts import token_in
from tests.support.bulk import bulk, is_done, runner
from tests.support.dashboard import rq_client, site_client
from tests.support.dead_letters import die

__all__ = ["bulk", "die", "runner"]  # fixtures

ACTOR = ("operator", "a-password")
Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def with_login(settings: Settings) -> Settings:
    return Settings(data_dir=settings.data_dir, dashboard_login=":".join(ACTOR))


@pytest.fixture
def post(with_login: Settings, runner: BulkRunner) -> Any:
    client = site_client(with_login, runner=runner)

    def post(path: str, **fields: Any) -> str:
        answer = client.post(path, data={"token": token_in(client, auth=ACTOR), **fields}, auth=ACTOR)
        assert answer.status_code == 303
        return str(answer.headers["Location"])

    return post


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines about acts at INFO."""
    caplog.set_level(logging.INFO)
    messages = ("action in the dashboard", "bulk action ended")
    return lambda: [
        {"message": record.message, **facts_of(record)} for record in caplog.records if record.message in messages
    ]


def test_a_bulk_action_is_logged_when_it_is_started_stopped_resumed_and_over(
    die: Any, post: Any, bulk: Any, lines: Lines
) -> None:
    for _ in range(2):
        die()
    planned = post("/actions", verb="discard", user=USER_ID, handler="it", error="no plan")
    action_id = planned.rpartition("/")[2]

    post(f"{planned}/start", reason="old", rate="0.01")
    wait_until(lambda: bulk.get(action_id).done == 1, "one is discarded")
    post(f"{planned}/stop")
    post(f"{planned}/stop")  # nothing is left to stop
    post(f"{planned}/start", rate="")
    wait_until(lambda: is_done(bulk, action_id), "the rest is discarded")
    wait_until(lambda: len(lines()) == 4, "its end is logged")

    (target,) = {line.pop("filter") for line in lines()}
    assert str(target).startswith("dead letters: handler it, error …, user sha256:")
    facts = {"operator": "operator", "action_id": action_id, "filter": target}
    act = {"message": "action in the dashboard"} | facts
    assert lines() == [
        act | {"outcome": "bulk discard started", "reason": "old"},
        act | {"outcome": "bulk discard stopped"},
        act | {"outcome": "bulk discard resumed"},
        facts | {"message": "bulk action ended", "outcome": "bulk discard ended", "count": 2},
    ]
    assert USER_ID not in str(lines())


def test_each_letter_that_is_selected_is_logged(die: Any, post: Any, lines: Lines, store: redis.Redis) -> None:
    ids = [die(), die()]
    job_ids = texts(store.zrange("rq:failed:events", 0, -1))

    post("/dead-letters/act", verb="discard", job=job_ids[0], reason="old")
    post("/dead-letters/act", verb="replay", job=job_ids[1])

    assert {JobId.parse(job_id).event_id for job_id in job_ids} == set(ids)
    act = {"message": "action in the dashboard", "operator": "operator"}
    events = [JobId.parse(job_id).event_id for job_id in job_ids]
    assert lines() == [
        act | {"outcome": "discarded", "event_id": events[0], "job_id": job_ids[0], "reason": "old"},
        act | {"outcome": "replayed", "event_id": events[1], "job_id": job_ids[1]},
    ]


def test_what_rqs_pages_requeue_is_logged_with_who(
    die: Any, with_login: Settings, lines: Lines, store: redis.Redis
) -> None:
    die(), die(), die()
    job_id = texts(store.zrange("rq:failed:events", 0, -1))[0]
    client = rq_client(with_login)
    options: Any = {"headers": {"X-Requested-With": "XMLHttpRequest"}, "auth": ACTOR}

    assert client.post(f"/job/{job_id}/requeue", **options).status_code == 200
    assert client.post("/requeue/events", **options).status_code == 200

    act = {"message": "action in the dashboard", "outcome": "replayed", "operator": "operator"}
    assert lines() == [act | {"job_id": job_id, "count": 1}, act | {"queue": "events", "count": 2}]
