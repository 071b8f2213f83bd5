"""Bulk actions and the audit in the pages: planned, confirmed, run by the dashboard, stopped, resumed and listed."""

import re
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from harness.stack import wait_until
from surehook.admin.audit import Audit
from surehook.admin.bulk_actions import BulkActions, BulkState
from surehook.admin.failure_groups import FailureGroups
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS
from tests.integration.test_dashboard_acts import Post, post, token_in
from tests.support.bulk import bulk, is_done, replays, runner
from tests.support.dashboard import site_client
from tests.support.dead_letters import die, groups

__all__ = ["bulk", "die", "groups", "post", "runner"]  # fixtures

ACTOR, READER = ("operator", "a-password"), ("reader", "another-password")


@pytest.fixture
def client(settings: Settings, runner: BulkRunner) -> TestClient:
    return site_client(settings, runner=runner)


def test_a_group_is_discarded_after_its_plan_was_confirmed(
    die: Any, post: Post, client: TestClient, bulk: BulkActions, groups: FailureGroups, store: redis.Redis
) -> None:
    for _ in range(3):
        die()
    die(handler="other")
    group_id = next(group.group_id for group in groups.read() if group.handler == "it")

    planned = post("/actions", verb="discard", group=group_id).headers["Location"]
    asked = client.get(planned).text
    assert "Discard 3 dead letters?" in asked
    assert "ValueError: no plan" in asked
    assert store.zcard("rq:failed:events") == 4
    assert post(f"{planned}/start", reason=" ").status_code == 400
    assert store.zcard("rq:failed:events") == 4
    started = post(f"{planned}/start", reason="the account is gone")

    assert started.headers["Location"] == planned
    wait_until(lambda: is_done(bulk, planned.rpartition("/")[2]), "the action is done")
    assert "3 of 3 discarded" in client.get(planned).text
    assert store.zcard("rq:failed:events") == 1
    ended, began, *_ = Audit(store, KEYS).newest()
    assert (began.who, began.action, began.reason) == (
        "dashboard, no login", "bulk discard started", "the account is gone",
    )  # fmt: skip
    assert ended.action == "bulk discard ended"


def test_the_replay_of_a_group_says_that_one_goes_first_and_waits_for_it(
    die: Any, post: Post, client: TestClient, groups: FailureGroups, store: redis.Redis
) -> None:
    die(), die()
    planned = post("/actions", verb="replay", group=groups.read()[0].group_id).headers["Location"]

    assert "One goes first; the others follow when it has succeeded" in client.get(planned).text
    post(f"{planned}/start", rate="0,5")

    wait_until(lambda: store.zcard("rq:failed:events") == 1, "one of them is replayed")
    shown = client.get(planned).text
    assert "The first event runs; the others wait for it." in shown
    assert "at most 0.5 a second" in shown
    assert ">Stop</button>" in shown


@pytest.mark.parametrize("rate", ["0", "-1", "x", "nan", "inf", "1e999", "9" * 40])
def test_a_rate_that_makes_no_sense_starts_nothing(
    rate: str, die: Any, post: Post, bulk: BulkActions, client: TestClient
) -> None:
    die()
    planned = post("/actions", verb="replay", type="user.delete").headers["Location"]

    answer = post(f"{planned}/start", rate=rate)

    assert answer.status_code == 400
    assert "a number of events a second" in answer.text
    assert [action.state for action in bulk.newest()] == [BulkState.PLANNED]


def test_an_action_is_stopped_and_resumed_by_buttons(
    die: Any, post: Post, client: TestClient, bulk: BulkActions, store: redis.Redis
) -> None:
    ids = [die() for _ in range(3)]
    planned = post("/actions", verb="replay").headers["Location"]
    post(f"{planned}/start", rate="0.01")
    action_id = planned.rpartition("/")[2]
    wait_until(lambda: bulk.get(action_id).done == 1, "one is replayed")

    post(f"{planned}/stop")
    assert "stopped by dashboard, no login" in client.get(planned).text
    assert "1 of 3 replayed" in client.get(planned).text
    post(f"{planned}/start", rate="")

    wait_until(lambda: is_done(bulk, action_id), "the rest is replayed")
    assert [replays(store, event_id) for event_id in ids] == [1] * 3
    for button in ("start", "stop"):
        assert post(f"{planned}/{button}").headers["Location"] == planned, "a late click shows the action"


def test_a_discard_that_is_resumed_keeps_its_reason(
    die: Any, post: Post, bulk: BulkActions, store: redis.Redis
) -> None:
    for _ in range(2):
        die()
    planned = post("/actions", verb="discard").headers["Location"]
    action_id = planned.rpartition("/")[2]
    post(f"{planned}/start", reason="the account is gone", rate="0.01")
    wait_until(lambda: bulk.get(action_id).done == 1, "one is discarded")
    post(f"{planned}/stop")

    assert post(f"{planned}/start", rate="").status_code == 303

    wait_until(lambda: is_done(bulk, action_id), "the rest is discarded")
    assert bulk.get(action_id).reason == "the account is gone"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"verb": "burn"}, 400),
        ({"verb": "replay", "since": "soon"}, 400),
        ({"verb": "replay", "error": "x" * 301}, 400),
    ],
    ids=["verb", "time", "a long filter"],
)
def test_plans_that_make_no_sense_are_refused(fields: dict[str, str], status: int, post: Post) -> None:
    assert post("/actions", **fields).status_code == status


def test_a_plan_for_nothing_cannot_be_started(post: Post, client: TestClient) -> None:
    planned = post("/actions", verb="replay", group="0" * 9).headers["Location"]

    shown = client.get(planned).text

    assert "No dead letter matches any more." in shown
    assert "/start" not in shown


@pytest.mark.parametrize("action_id", ["3f9a1c2b", "%3Cb%3E", "x" * 300])
def test_an_action_that_there_is_not_says_so(action_id: str, client: TestClient, post: Post) -> None:
    assert client.get(f"/actions/{action_id}").status_code == 404
    assert post(f"/actions/{action_id}/start").status_code == 404
    assert post(f"/actions/{action_id}/stop").status_code == 404


def test_the_login_that_may_look_sees_actions_and_the_audit(settings: Settings, die: Any, bulk: BulkActions) -> None:
    logins = {"dashboard_login": ":".join(ACTOR), "dashboard_reader": ":".join(READER)}
    client = site_client(Settings.model_validate({"data_dir": settings.data_dir, **logins}))
    die()
    token = token_in(client, auth=ACTOR)
    planned = client.post("/actions", data={"token": token, "verb": "replay"}, auth=ACTOR).headers["Location"]
    client.post("/queues", data={"token": token, "verb": "pause", "queue": "events"}, auth=ACTOR)

    for path in ("/actions", planned, "/audit", "/dead-letters"):
        shown = client.get(path, auth=READER)
        assert shown.status_code == 200
        assert set(re.findall(r'action="([^"]*)" method="post"', shown.text)) == {"/find"}
    assert "queue paused" in client.get("/audit", auth=READER).text
    assert [action.who for action in bulk.newest()] == ["operator"]


def test_the_audit_is_read_in_pages(client: TestClient, store: redis.Redis) -> None:
    audit = Audit(store, KEYS)
    for number in range(150):
        audit.write("ann", "queue paused", target=f"queue-{number}")

    first = client.get("/audit")
    link = re.search(r'href="(/audit\?before=[^"]+)" rel="next"', first.text)
    assert link
    second = client.get(link[1])

    found = re.findall(r"queue-(\d+)<", first.text + second.text)
    assert list(map(int, found)) == list(range(149, -1, -1))
    for place in ("x", "-", "1", "(1-1", "9" * 30, f"{'9' * 25}-1"):
        assert client.get("/audit", params={"before": place}).status_code == 400


def test_what_the_pages_do_is_in_the_audit(
    die: Any, post: Post, client: TestClient, store: redis.Redis, run_worker: Any, accept: Any
) -> None:
    closed = accept()
    run_worker()

    post(f"/events/{closed}/body")
    post(f"/events/{closed}/replay", verb="replay", reason="again")
    post("/queues", verb="pause", queue="events")
    post("/queues", verb="resume", queue="events")

    assert [(entry.action, entry.target, entry.reason) for entry in Audit(store, KEYS).newest()] == [
        ("queue resumed", "events", ""),
        ("queue paused", "events", ""),
        ("event replayed", closed, "again"),
        ("body shown", closed, ""),
    ]
