"""The search of the pages: by e-mail without an address in an address, and by failure group."""

import re
from typing import Any
from uuid import uuid4

import pytest
import redis
from pydantic import SecretStr
from starlette.testclient import TestClient

from surehook.admin.failure_groups import FailureGroups
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_pages import ids_in
from tests.support.dashboard import site_client
from tests.support.dead_letters import die, groups

__all__ = ["die", "groups"]  # fixtures

READER = ("reader", "another-password")


@pytest.fixture
def client(settings: Settings) -> TestClient:
    return site_client(settings)


@pytest.fixture
def events(accept: Accept, run_worker: Any, store: redis.Redis, settings: Settings) -> list[str]:
    """A closed event and an open one of Mara, and one of another user."""
    mara = {"id": str(uuid4()), "email": "Mara@example.com"}
    closed = accept(user=mara)
    run_worker()
    while IndexUpkeep(store, KEYS, settings).finish_rows():
        pass
    opened = accept(user=mara)
    accept(user={"id": str(uuid4()), "email": "ada@example.com"})
    return [closed, opened]


def test_events_of_an_address_are_found_and_no_page_names_it(events: list[str], client: TestClient) -> None:
    found = client.post("/find", data={"email": " mara@EXAMPLE.com", "type": ""})

    link = found.headers["Location"]
    assert re.fullmatch(r"/events\?email=[0-9a-f]{12}", link)
    shown = client.get(link).text
    assert sorted(ids_in(shown)) == sorted(events)
    assert "2 events match." in shown
    assert "mara" not in shown.lower()
    assert client.get("/events", params={"email": "mara@example.com"}).headers["Location"] == link
    assert client.post("/find", data={"q": "email:mara@example.com"}).headers["Location"] == link
    assert ids_in(client.get(f"{link}&state=waiting").text) == [events[1]]
    assert ids_in(client.get(f"{link}&state=closed").text) == [events[0]]


def test_the_login_that_may_look_searches_too(events: list[str], settings: Settings) -> None:
    logins = {"dashboard_login": SecretStr("a:b"), "dashboard_reader": SecretStr(":".join(READER))}
    client = site_client(settings.model_copy(update=logins))

    link = client.post("/find", data={"email": "mara@example.com"}, auth=READER).headers["Location"]

    assert sorted(ids_in(client.get(link, auth=READER).text)) == sorted(events)
    refused = client.post(
        "/find", data={"email": "mara@example.com"}, headers={"Origin": "https://evil.example"}, auth=READER
    )
    assert refused.status_code == 403


def test_an_address_cannot_be_found_without_the_key_of_the_index(
    events: list[str], client: TestClient, store: redis.Redis
) -> None:
    assert events
    store.set(KEYS.index_key, b"another gAAAAA")

    answer = client.post("/find", data={"email": "mara@example.com"})

    assert answer.status_code == 409
    assert "SUREHOOK_ENCRYPTION_KEYS" in answer.text


def test_what_the_field_at_the_top_takes_leads_to_a_page_that_can_be_read_again(
    events: list[str], client: TestClient
) -> None:
    assert client.post("/find", data={"q": events[0][:8]}).headers["Location"] == f"/events?q={events[0][:8]}"
    assert client.post("/find", data={"q": "state:done since:2h"}).headers["Location"] == "/events?state=done&since=2h"
    assert client.post("/find").headers["Location"] == "/events"
    answer = client.post("/find", data={"q": "<b>"})
    assert answer.status_code == 400
    assert "<b>" not in answer.text
    assert "data-live" not in answer.text


def test_the_events_of_a_group_are_listed(die: Any, groups: FailureGroups, client: TestClient) -> None:
    ids = [die(), die()]
    other = die(error="KeyError: 'x'", handler="other")
    group = next(each.group_id for each in groups.read() if each.handler == "it")

    shown = client.get(f"/events?group={group}").text

    assert sorted(ids_in(shown)) == sorted(ids)
    assert "2 events match." in shown
    assert ids_in(client.get(f"/events?group={group}&type=user.update").text) == []
    assert ids_in(client.get(f"/events?group={group}&state=done").text) == []
    assert sorted(ids_in(client.get(f"/events?group={group}&state=dead").text)) == sorted(ids)
    for nothing in ("x", "-", "f" * 200, "<b>"):
        assert ids_in(client.get("/events", params={"group": nothing}).text) == []
    assert f"/events?group={group}" in client.get("/dead-letters").text
    assert other in client.get("/events?state=dead").text
