"""The forms of our pages: what they change, and what they refuse."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from httpx import Response
from starlette.testclient import TestClient

from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_requests import die, snapshot
from tests.support.command import Surehook
from tests.support.dashboard import site_client
from tests.support.dead_letters import surehook
from tests.support.ledger import is_balanced

__all__ = ["die", "surehook"]  # fixtures

ACTOR, READER = ("operator", "a-password"), ("reader", "another-password")
FORMS = (
    "/dead-letters/confirm", "/dead-letters/act", "/queues", "/transactions/confirm", "/transactions/resolve",
    "/actions", "/actions/3f9a1c2b/start", "/actions/3f9a1c2b/stop",
)  # fmt: skip
OF_AN_EVENT = ("body", "confirm", "replay")
Post = Callable[..., Response]


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return site_client(settings)


@pytest.fixture
def post(client: TestClient) -> Post:
    """Sends a form as the page does that has it."""

    def post(path: str, **fields: Any) -> Response:
        answer: Response = client.post(path, data={"token": token_in(client), **fields})
        return answer

    return post


def token_in(client: TestClient, **options: Any) -> str:
    """The token of a form on the page of queues; "" if it has none."""
    found = re.search(r'name="token" value="(\w+)"', client.get("/queues", **options).text)
    return found[1] if found else ""


def test_selected_dead_letters_are_replayed_after_a_confirmation(
    die: Any, post: Post, client: TestClient, store: redis.Redis
) -> None:
    jobs = [die() for _ in range(3)]

    asked = post("/dead-letters/confirm", verb="replay", job=jobs[:2])
    done = post("/dead-letters/act", verb="replay", job=jobs[:2], reason="the service is up")

    assert "Replay 2 dead letters?" in asked.text
    assert re.findall(r'name="job" value="([^"]+)"', asked.text) == jobs[:2]
    assert done.headers["Location"] == "/dead-letters?done=replay&count=2&gone=0"
    assert "2 dead letters replayed." in client.get(done.headers["Location"]).text
    assert store.zcard("rq:failed:events") == 1
    assert store.llen("rq:queue:events") == 2
    assert "by dashboard, no login: the service is up" in client.get(f"/events/{jobs[0]}").text
    assert is_balanced(store)


def test_a_discard_needs_a_reason_and_keeps_it(die: Any, post: Post, client: TestClient, store: redis.Redis) -> None:
    job = die()

    refused = post("/dead-letters/act", verb="discard", job=[job], reason=" ")
    done = post("/dead-letters/act", verb="discard", job=[job], reason="the user is gone")

    assert refused.status_code == 400
    assert "needs a reason" in refused.text
    assert done.status_code == 303
    assert store.hget(KEYS.event(job), "outcome") == b"discarded"
    assert "the user is gone" in client.get(f"/events/{job}").text
    assert is_balanced(store)


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\n"])
def test_a_reason_may_have_any_line_separator(
    separator: str, die: Any, post: Post, client: TestClient, surehook: Surehook
) -> None:
    job = die()

    assert post("/dead-letters/act", verb="replay", job=[job], reason=f"one{separator}two").status_code == 303

    assert "by dashboard, no login: one" in client.get(f"/events/{job}").text
    assert surehook("events", "show", job)[0] == 0


def test_letters_that_changed_in_the_meantime_are_counted(die: Any, post: Post, client: TestClient) -> None:
    one, other = die(), die()
    assert post("/dead-letters/act", verb="replay", job=[one]).status_code == 303

    again = post("/dead-letters/act", verb="replay", job=[one, other])
    none_left = post("/dead-letters/confirm", verb="replay", job=[one, other])

    assert again.headers["Location"] == "/dead-letters?done=replay&count=1&gone=1"
    assert "1 had changed in the meantime." in client.get(again.headers["Location"]).text
    assert none_left.status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"token": ""}, id="no token"),
        pytest.param({"token": "a" * 64}, id="another token"),
        pytest.param({"token": "é"}, id="no token at all"),
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="a sandboxed page"),
        pytest.param({"Origin": "http://["}, id="an origin that is no address"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another port"),
        pytest.param({"Host": "evil.example"}, id="a name that leads to loopback"),
    ],
)
def test_only_our_own_forms_change_something(
    change: dict[str, str], die: Any, client: TestClient, store: redis.Redis
) -> None:
    job = die()
    token = change.get("token", token_in(client))
    headers = {name: value for name, value in change.items() if name != "token"}
    before = snapshot(store)

    for path in (*FORMS, *(f"/events/{job}/{end}" for end in OF_AN_EVENT)):
        fields = {"token": token, "verb": "replay", "job": job, "queue": "events", "event": job, "reason": "because"}
        assert client.post(path, data=fields, headers=headers).status_code == 403, path
        assert client.get(path).status_code in {200, 405}

    assert snapshot(store) == before


def test_the_login_that_may_look_gets_no_form_and_changes_nothing(
    settings: Settings, die: Any, store: redis.Redis
) -> None:
    logins = {"dashboard_login": ":".join(ACTOR), "dashboard_reader": ":".join(READER)}
    client = site_client(Settings.model_validate({"data_dir": settings.data_dir, **logins}))
    job = die()
    token = token_in(client, auth=ACTOR)
    before = snapshot(store)

    for path in (*FORMS, *(f"/events/{job}/{end}" for end in OF_AN_EVENT)):
        fields = {"token": token, "verb": "replay", "job": job, "queue": "events", "event": job}
        assert client.post(path, data=fields, auth=READER).status_code == 403, path

    assert token
    assert token_in(client, auth=READER) == ""
    assert snapshot(store) == before
    fields = {"token": token, "verb": "replay", "job": job}
    assert client.post("/dead-letters/act", data=fields, auth=ACTOR).status_code == 303


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"verb": "delete", "job": "x"}, 400, id="verb"),
        pytest.param({"verb": "resolve", "job": "x"}, 400, id="the verb of another page"),
        pytest.param({"verb": "replay"}, 400, id="nothing selected"),
        pytest.param({"verb": "replay", "job": "<b>"}, 409, id="no job"),
        pytest.param({"verb": "replay", "job": ["x"] * 2000}, 400, id="many fields"),
        pytest.param({"verb": "replay", "job": "x" * 100_000}, 413, id="a huge form"),
        pytest.param({"verb": "discard", "job": "x", "reason": "y" * 201}, 400, id="a long reason"),
    ],
)
def test_forms_that_make_no_sense_are_refused(fields: dict[str, Any], status: int, post: Post) -> None:
    answer = post("/dead-letters/act", **fields)

    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_a_form_that_is_no_text_is_refused(client: TestClient) -> None:
    assert client.post("/queues", content=b"\xff\xfe=1").status_code in {400, 403}


def test_other_applications_jobs_are_not_replayed(post: Post, store: redis.Redis) -> None:
    store.sadd("rq:queues", "rq:queue:other")
    store.hset("rq:job:theirs", mapping={"origin": "other", "status": "failed"})
    store.zadd("rq:failed:other", {"theirs": 1})
    before = snapshot(store)

    assert post("/dead-letters/act", verb="replay", job="theirs").status_code == 409

    assert snapshot(store) == before


def test_a_queue_is_paused_and_resumed(accept: Accept, post: Post, store: redis.Redis) -> None:
    accept()

    assert post("/queues", verb="pause", queue="events").headers["Location"] == "/queues"
    assert store.smembers(KEYS.paused) == {b"events"}
    assert post("/queues", verb="resume", queue="events").status_code == 303
    assert store.smembers(KEYS.paused) == set()
    assert post("/queues", verb="pause", queue="none").status_code == 404
    assert post("/queues", verb="burn", queue="events").status_code == 404


def test_an_orphan_is_resolved(post: Post, client: TestClient, store: redis.Redis) -> None:
    orphan = str(uuid4())
    store.zadd(KEYS.orphans, {orphan: 1_700_000_000_000})
    store.hset(KEYS.event(orphan), mapping={"type": "user.create", "outcome": "failed"})

    asked = post("/transactions/confirm", event=orphan)
    done = post("/transactions/resolve", event=orphan, verb="resolve")

    assert "Resolve 1 orphan?" in asked.text
    assert "1 orphan resolved." in client.get(done.headers["Location"]).text
    assert store.zcard(KEYS.orphans) == 0
    assert post("/transactions/resolve", event=orphan).status_code == 409


@pytest.mark.parametrize("group", ["x", "-", "0" * 9, "<b>", "f" * 200])
def test_a_group_that_there_is_not_has_no_letters(group: str, die: Any, client: TestClient) -> None:
    die()

    answer = client.get("/dead-letters", params={"group": group})

    assert answer.status_code == 200
    assert "<b>" not in answer.text


def test_dead_letters_are_counted_by_group_and_filtered(die: Any, client: TestClient) -> None:
    ids = [die(), die()]

    shown = client.get("/dead-letters").text
    group = re.search(r'href="/dead-letters\?group=([^"]+)"', shown)
    assert group

    assert "2 events ran out of retries for a handler, in 1 way." in shown
    for event_id in ids:
        assert f'id="row-{event_id}"' in client.get(f"/dead-letters?group={group[1]}&type=user.delete").text
    assert "No dead letter matches." in client.get("/dead-letters?type=user.update").text
    assert client.get("/dead-letters?since=soon").status_code == 400
