"""One event in the dashboard: it says what it waits for, its body is shown, and it runs again."""

import logging
from typing import Any
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr
from starlette.testclient import TestClient

from surehook import RetryLater
from surehook.shared.encryption import BodyCipher
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_acts import OF_AN_EVENT, Post, client, post, token_in
from tests.support.dashboard import site_client
from tests.support.dead_letters import die
from tests.support.mirror import Mirror

__all__ = ["client", "die", "post"]  # fixtures


def test_an_open_event_says_what_it_waits_for(
    accept: Accept, run_worker: Any, client: TestClient, store: redis.Redis
) -> None:
    mirror = Mirror()
    first, second = accept("user.update"), accept("user.update")
    mirror.fails[first] = RetryLater(600)
    run_worker(turns=5)
    queued = accept("user.delete")

    assert "<strong>mirror</strong> is tried again." in client.get(f"/events/{first}").text
    assert "<strong>mirror</strong> waits for an earlier event of the same key." in client.get(f"/events/{second}").text
    assert "on the queue events.</li>" in client.get(f"/events/{queued}").text
    store.sadd(KEYS.paused, "events")
    assert "on the queue events, which is paused.</li>" in client.get(f"/events/{queued}").text


def test_a_dead_letter_says_so_and_has_the_buttons_that_end_it(die: Any, client: TestClient) -> None:
    shown = client.get(f"/events/{die()}").text

    assert "it will not run again by itself: a dead letter needs you." in shown
    assert ">Replay…</button>" in shown
    assert ">Discard…</button>" in shown


def test_the_body_is_shown_on_a_click_that_is_logged(
    accept: Accept, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    client = site_client(settings.model_copy(update={"encryption_keys": (key,)}))
    user = {"id": str(uuid4()), "email": "mara@example.com", "password": "hunter22"}
    event_id = accept(user=user, cipher=BodyCipher((key,)))
    other_id = accept(cipher=BodyCipher((SecretStr(Fernet.generate_key().decode()),)))
    assert "mara@example.com" not in client.get(f"/events/{event_id}").text

    with caplog.at_level(logging.INFO):
        shown = client.post(f"/events/{event_id}/body", data={"token": token_in(client)})
        unreadable = client.post(f"/events/{other_id}/body", data={"token": token_in(client)})

    assert "mara@example.com" in shown.text
    assert "hunter22" not in shown.text
    assert "data-live" not in shown.text, "a refresh does not show it again"
    assert "Its key is not among SUREHOOK_ENCRYPTION_KEYS" in unreadable.text
    lines = [record for record in caplog.records if record.message == "action in the dashboard"]
    assert [(line.__dict__["outcome"], line.__dict__["event_id"]) for line in lines] == [
        ("body shown", event_id),
        ("body shown", other_id),
    ]


def test_a_closed_event_runs_again(accept: Accept, run_worker: Any, post: Post, store: redis.Redis) -> None:
    event_id = accept()
    run_worker()
    assert store.hget(KEYS.event(event_id), "outcome") == b"unhandled"

    asked = post(f"/events/{event_id}/confirm")
    done = post(f"/events/{event_id}/replay", verb="replay")

    assert "Replay 1 event?" in asked.text
    assert done.headers["Location"] == f"/events/{event_id}?done=replay&count=1&gone=0"
    assert store.llen("rq:queue:events") == 1
    assert post(f"/events/{event_id}/replay").status_code == 409, "it is open now"
    assert post(f"/events/{uuid4()}/replay").status_code == 404


def test_an_event_without_its_body_does_not_run_again(
    accept: Accept, run_worker: Any, post: Post, store: redis.Redis
) -> None:
    event_id = accept()
    run_worker()
    store.hdel(KEYS.event(event_id), "body")

    for end in OF_AN_EVENT:
        assert post(f"/events/{event_id}/{end}").status_code == 410
