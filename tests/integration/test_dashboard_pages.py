"""Our pages on a real store: what they show, find and refuse."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import redis
from starlette.testclient import TestClient

from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_requests import die
from tests.integration.test_leases import an_attempt
from tests.support.dashboard import site_client

__all__ = ["die"]  # a fixture

ACTOR, READER = ("operator", "a-password"), ("reader", "another-password")


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return site_client(settings)


def ids_in(text: str) -> list[str]:
    return re.findall(r'id="row-([0-9a-f-]{36})"', text)


def test_the_overview_says_in_one_sentence_whether_anything_is_wrong(
    accept: Accept, die: Any, client: TestClient
) -> None:
    assert "No event has arrived yet." in client.get("/").text
    die()
    accept()

    shown = client.get("/").text

    assert "All 2 events are done or waiting; 1 needs you." in shown
    assert "1 dead letter of ?<" in shown or "1 dead letter of it<" in shown
    assert "No worker runs the queue events" in shown


def test_every_number_of_the_overview_leads_to_a_page(die: Any, client: TestClient) -> None:
    die()

    links = set(re.findall(r'href="(/[^"]*)"', client.get("/").text))

    assert len(links) > 5
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_events_are_listed_newest_first_in_pages(accept: Accept, client: TestClient) -> None:
    accepted = [accept("user.update") for _ in range(51)]
    accept("user.delete")

    first = client.get("/events?type=user.update")
    link = re.search(r'href="(/events[^"]*after=[^"]*)" rel="next"', first.text)
    assert link
    second = client.get(link[1].replace("&amp;", "&"))

    assert len(ids_in(first.text)) == 50
    assert sorted(ids_in(first.text) + ids_in(second.text)) == sorted(accepted)
    assert 'rel="next"' not in second.text
    assert 'href="/events?type=user.update">Newest' in second.text


def test_filters_combine(accept: Accept, die: Any, client: TestClient) -> None:
    dead = die()
    accept("user.update")

    assert ids_in(client.get("/events?state=dead&type=user.delete&since=1h").text) == [dead]
    assert ids_in(client.get("/events", params={"q": "state:dead type:user.delete"}).text) == [dead]
    assert ids_in(client.get("/events?state=dead&type=user.update").text) == []
    assert "1 event matches." in client.get("/events?state=dead").text
    assert "No event matches." in client.get("/events?until=1h").text


def test_an_id_or_its_beginning_jumps_to_the_event(accept: Accept, client: TestClient) -> None:
    event_id = accept()

    for some_id in (event_id, event_id[:8], event_id.upper()):
        assert client.get("/events", params={"q": some_id}).headers["Location"] == f"/events/{event_id}"
    assert client.get(f"/events/{event_id[:8]}").headers["Location"] == f"/events/{event_id}"


def test_an_event_shows_its_attempts_with_tracebacks(accept: Accept, claims_of: Any, client: TestClient) -> None:
    event_id = accept()
    attempt = an_attempt()
    claims_of().bury(claims_of().claim(), attempt, "tb")

    shown = client.get(f"/events/{event_id}").text

    assert "attempt 1" in shown
    assert event_id in shown
    assert "mara.lindqvist" not in shown, "the body stays closed"


def test_an_events_story_is_in_the_order_of_time(accept: Accept, client: TestClient, store: redis.Redis) -> None:
    event_id = accept()
    for hour, elapsed_ms in ((9, 1_800_000), (12, 50)):
        attempt = {"handler": f"it-{hour}", "number": 1, "at": f"2026-11-28T{hour:02}:00:00.000+00:00",
                   "elapsed_ms": elapsed_ms, "outcome": "failed", "error": "E"}  # fmt: skip
        store.rpush(KEYS.attempts(event_id), json.dumps(attempt))
    at = datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp() * 1000
    action = {"at": at, "action": "replayed", "handler": "", "who": "ann", "reason": ""}
    store.hset(KEYS.event(event_id), "actions", json.dumps(action))

    shown = client.get(f"/events/{event_id}").text

    story = shown[shown.index("What happened") :]
    assert re.findall(r'datetime="(2026-11-28T[\d:]+)\.', story) == [
        f"2026-11-28T{hour}:00:00" for hour in ("09", "10", "12")
    ]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/events?type={'x' * 5000}", id="a huge filter"),
        pytest.param("/events?after=no-such-cursor", id="an unknown cursor"),
        pytest.param(f"/events?after={'9' * 40}-x", id="a huge cursor"),
        pytest.param("/events?state=broken", id="state"),
        pytest.param("/events?since=soon", id="time"),
        pytest.param("/events?q=" + quote("<script>1</script>"), id="words"),
    ],
)
def test_what_cannot_be_understood_is_explained(path: str, client: TestClient) -> None:
    answer = client.get(path)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "<script>1" not in answer.text


def test_an_id_that_is_gone_says_so(accept: Accept, client: TestClient, store: redis.Redis) -> None:
    event_id = accept()
    store.delete(KEYS.event(event_id))

    for path in (f"/events/{event_id}", f"/events/{uuid4()}", "/events/<b>", "/events/..%2f", f"/events?q={event_id}"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert 'role="alert"' in answer.text


def test_while_the_store_is_away_a_page_says_so(settings: Settings, tmp_path: Any) -> None:
    client = site_client(Settings(redis_url=f"unix://{tmp_path}/none.sock", data_dir=settings.data_dir))

    for path in ("/", "/events", f"/events/{uuid4()}", "/events?q=3f2504e0"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "The store is away" in answer.text
    assert client.get("/static/style.css").status_code == 200


def test_a_page_says_what_the_store_refuses(
    client: TestClient, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store.set(KEYS.audit, "changed by hand")

    answer = client.get("/audit")

    assert answer.status_code == 500
    assert "keys were changed by hand" in answer.text
    assert "is away" not in answer.text
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "dashboard page failed"
    ]


def test_both_logins_see_the_pages_and_no_other(settings: Settings) -> None:
    client = site_client(
        Settings(data_dir=settings.data_dir, dashboard_login=":".join(ACTOR), dashboard_reader=":".join(READER))
    )

    assert client.get("/", auth=ACTOR).status_code == 200
    assert "(may look)" in client.get("/", auth=READER).text
    for wrong in (("operator", "another-password"), ("reader", "a-password"), ("", ""), ("operator", "")):
        assert client.get("/", auth=wrong).status_code == 401
    assert client.get("/").status_code == 401
    assert client.get("/static/style.css").status_code == 401
    assert client.get("/", headers={"Authorization": "Basic ***"}).status_code == 401


def test_the_login_that_may_look_changes_nothing(settings: Settings, die: Any, store: redis.Redis) -> None:
    client = site_client(
        Settings(data_dir=settings.data_dir, dashboard_login=":".join(ACTOR), dashboard_reader=":".join(READER))
    )
    event_id = die()
    headers = {"X-Requested-With": "XMLHttpRequest"}

    refused = client.post(f"/rq/job/{event_id}/requeue", headers=headers, auth=READER)

    assert refused.status_code == 403
    assert "may look" in refused.text
    assert store.zcard("rq:failed:events") == 1
    assert client.post(f"/rq/job/{event_id}/requeue", headers=headers, auth=ACTOR).status_code == 200
