"""One event in the dashboard: its body is shown, and it runs again."""

import logging
from typing import Any
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook.shared.encryption import BodyCipher
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.integration.test_dashboard_acts import OF_AN_EVENT, Post, client, post, token_in
from tests.support.dashboard import site_client

__all__ = ["client", "post"]  # fixtures


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
