"""Answers of FusionAuth that are not as documented: an entry that cannot be read is named, and hides no others."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import redis

from surehook.fusionauth import transport
from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.connection.proof import Proof
from surehook.fusionauth.doctor.access import read_installation
from surehook.fusionauth.doctor.deliveries import delivery_findings
from surehook.fusionauth.shapes import KEY as KEY_SHAPE
from surehook.fusionauth.transport import FusionAuthError, PageUnreadable
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from tests.integration.test_fusionauth_client import client_of, search, served
from tests.support.changing_proxy import CUT_OFF, FAILED, changing_proxy, written
from tests.support.command import Surehook
from tests.support.missed_events import FusionAuth, fusionauth, open_fusionauth, surehook
from tests.support.simulated_fusionauth import GLOBAL_KEY

__all__ = ["fusionauth", "open_fusionauth", "surehook"]  # fixtures of tests.support

KEYS = Keys()
Changed = Callable[[dict[str, Any]], bytes]


def with_event(event: str) -> Changed:
    return lambda row: written(row | {"event": "?"}).replace(b'"?"', event.encode())


def no_utf8(row: dict[str, Any]) -> bytes:
    return written(row | {"data": "?"}).replace(b'"?"', b'"\xff"')


UNREADABLE: dict[str, Changed] = {
    "deep": with_event("[" * 100_000 + "]" * 100_000),
    "a long number": with_event('{"event":{"n":' + "9" * 5_000 + "}}"),
    "no UTF-8": no_utf8,
    "no JSON": lambda row: written(row)[:-20],
    "cut off": lambda _: CUT_OFF,
    "an error": lambda _: FAILED,
    "null": lambda _: b"null",
    "text": lambda _: b'"text"',
    "no id": lambda row: written(row | {"id": None}),
}


def is_event(row: dict[str, Any], number: int) -> bool:
    return bool(row["event"]["event"]["id"] == str(UUID(int=number)))


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_one_entry_that_cannot_be_read_keeps_no_other_from_being_recovered(
    change: Changed,
    fusionauth: FusionAuth,
    surehook: Surehook,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "RETRY_SECONDS", ())
    ids = [fusionauth.fire(number, status=500, age_ms=600_000 - number * 1000) for number in range(1, 8)]
    url = os.environ["SUREHOOK_FUSIONAUTH_URL"]

    with changing_proxy(url, lambda row: change(row) if is_event(row, 4) else written(row)) as proxied:
        monkeypatch.setenv("SUREHOOK_FUSIONAUTH_URL", proxied)
        status, said = surehook("reconcile", "--rate", "1000", "--since", "1h", "--json")

    *told, last = said.splitlines()
    statement = json.loads(last)
    assert texts(store.lrange(KEYS.rq_queue("events"), 0, -1)) == [*ids[:3], *ids[4:]]
    assert (status, statement["complete"]) == (1, False)
    assert (statement["fired"], statement["recovered"], statement["unreadable"]) == (6, 6, 1)
    assert told == [f"surehook: FusionAuth's log cannot be read at one entry: {statement['ids']['unreadable'][0]}"]


def test_doctor_and_connect_read_the_entries_around_one_that_cannot_be_read(
    fusionauth: FusionAuth, settings: Settings, store: redis.Redis
) -> None:
    for number in range(1, 6):
        fusionauth.fire(number, status=500)
    url = os.environ["SUREHOOK_FUSIONAUTH_URL"]
    odd: dict[int, Changed] = {
        1: with_event("7"),
        2: lambda row: written(row | {"attempts": {"a": 7}}),
        3: lambda row: written(row | {"attempts": [7, {**row["attempts"][0], "webhookCallResponse": "x"}]}),
        4: UNREADABLE["deep"],
    }

    def change(row: dict[str, Any]) -> bytes:
        return next((each(row) for number, each in odd.items() if is_event(row, number)), written(row))

    with changing_proxy(url, change) as proxied, FusionAuthClient(proxied, GLOBAL_KEY) as client:
        found = read_installation(client, settings)
        findings = {each.check: each.wrong for each in delivery_findings(client, found, datetime.now(UTC))}
        proof = Proof(client, store, KEYS, fusionauth.webhook["id"])
        delivery = proof.wait(set(), 0, now_ms=lambda: client.now_ms() - 120_000)

    assert "1 entry of the Webhook Event Log cannot be read" in findings["event-log-entries"]
    assert "3 events were not answered 2xx" in findings["deliveries"]
    assert delivery is not None


LOG_ID = "0a1b2c3d-0000-4000-8000-000000000001"
OTHER_ID = "0a1b2c3d-0000-4000-8000-000000000002"


def page(entry: str) -> bytes:
    return f'{{"total":1,"webhookEventLogs":[{entry}]}}'.encode()


@pytest.mark.parametrize(
    ("body", "log_id"),
    [
        (page(f'{{"attempts":[{{"id":"{OTHER_ID}"}}],"event":{"[" * 100_000}{"]" * 100_000},"id":"{LOG_ID}"}}'),
         LOG_ID),
        (page(f'{{"id":"{LOG_ID}","event":{{"id":"{OTHER_ID}","n":{"9" * 5000}}}}}'), LOG_ID),
        (page(f'{{"event":{{"id":"{OTHER_ID}","name":"a \\" }} ?"}},"id":"{LOG_ID}"}}').replace(b"?", b"\xff"), LOG_ID),
        (page(f'{{"id":"{LOG_ID}","event":{{"name":"cut')[:-2], LOG_ID),
        (page('{"id":7}'), ""), (page('"text"'), ""), (page("null"), ""), (b"<html>", ""),
        (page('{"id":"jane@example.com","n":Nope}'), ""),
    ],
    ids=["deep", "long number", "no UTF-8", "cut off", "odd id", "text", "null", "a page", "no id of an entry"],
)  # fmt: skip
def test_a_page_that_cannot_be_read_names_its_entry(body: bytes, log_id: str) -> None:
    with (
        served((200, {}, body)) as server,
        client_of(server.url) as client,
        pytest.raises(PageUnreadable) as caught,
    ):
        search(client)

    assert caught.value.log_id == log_id


@pytest.mark.parametrize(
    ("read", "body", "words"),
    [
        (FusionAuthClient.webhooks, '{"webhooks":[7]}', "/api/webhook webhooks is a number instead of an object"),
        (FusionAuthClient.webhooks, '{"webhooks":[{"eventsEnabled":["a"]}]}', "webhooks.eventsEnabled is a list"),
        (FusionAuthClient.webhooks, '{"webhooks":[{"readTimeout":"2 s"}]}', "webhooks.readTimeout is a text"),
        (FusionAuthClient.webhooks, '{"webhooks":[{"headers":{"Authorization":["secret"]}}]}', "is a list"),
        (FusionAuthClient.tenants, '{"tenants":{"a":"b"}}', "/api/tenant tenants is an object"),
        (FusionAuthClient.tenants, '{"tenants":[{"eventConfiguration":{"events":{"user.create":true}}}]}',
         "events.user.create is true or false"),
        (FusionAuthClient.keys, '{"keys":[{"kid":7}]}', "keys.kid is a number"),
        (FusionAuthClient.integrations, '{"integrations":{"kafka":"on"}}', "kafka is a text"),
        (FusionAuthClient.system_configuration,
         '{"systemConfiguration":{"webhookEventLogConfiguration":{"delete":{"numberOfDaysToRetain":"30"}}}}',
         "numberOfDaysToRetain is a text"),
    ],
)  # fmt: skip
def test_a_record_of_another_shape_is_named_and_not_shown(read: Any, body: str, words: str) -> None:
    with (
        served((200, {}, body.encode())) as server,
        client_of(server.url) as client,
        pytest.raises(FusionAuthError, match=words) as caught,
    ):
        read(client)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"key":{}}', b'{"key":7}'])
def test_a_record_that_is_made_without_an_id_is_an_error(body: bytes) -> None:
    with (
        served((200, {}, body)) as server,
        client_of(server.url) as client,
        pytest.raises(FusionAuthError, match=r"without the id|is a number"),
    ):
        client.create("/api/key/import", "key", {}, KEY_SHAPE)
