"""The simulated API has the shapes of FusionAuth's OpenAPI, and its rules about keys and tenants."""

from collections.abc import Iterator
from typing import Any

import pytest

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.api import TENANT_HEADER
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.quirks import Quirks
from tests.support.openapi import needs_openapi, require_shape
from tests.support.simulated_fusionauth import (
    GLOBAL_KEY,
    NOW,
    TENANT_KEY,
    Client,
    a_tenant,
    a_webhook,
    an_event,
    an_installation,
    clients,
)

OF_THE_INSTALLATION = [
    ("GET", "/api/webhook"),
    ("GET", "/api/key"),
    ("GET", "/api/system-configuration"),
    ("GET", "/api/integration"),
    ("POST", "/api/system/webhook-event-log/search"),
]


@pytest.fixture
def instance() -> Instance:
    return an_installation()


@pytest.fixture
def client_of() -> Iterator[Client]:
    with clients() as open_client:
        yield open_client


def logged(instance: Instance, count: int = 1) -> None:
    for number in range(1, count + 1):
        body = {"event": an_event(number)}
        entry = instance.log.add(body, str(body).encode(), now_ms=NOW + number)
        attempt = {
            "attemptResult": "Success",
            "data": {},
            "endInstant": NOW + number,
            "id": f"11111111-0000-4000-8000-{number:012}",
            "startInstant": NOW,
            "webhookCallResponse": {"statusCode": 202, "url": "http://127.0.0.1:9/hook"},
            "webhookId": "22222222-0000-4000-8000-000000000000",
        }
        instance.log.record(entry, attempt)
        instance.log.finish(entry, is_success=True, now_ms=NOW + number)


@needs_openapi
def test_a_refusal_has_the_published_shape(instance: Instance, client_of: Client) -> None:
    refused = client_of(instance).post("/api/webhook", json={"webhook": {}})

    assert refused.status_code == 400
    require_shape(refused.json(), "Errors")


def _id(response: Any, name: str) -> str:
    return str(response.json()[name]["id"])


@pytest.mark.parametrize(("method", "path"), OF_THE_INSTALLATION)
def test_a_key_of_a_tenant_is_not_enough_for_the_installation(
    method: str, path: str, instance: Instance, client_of: Client
) -> None:
    for key in (None, TENANT_KEY, "another", f"Bearer {GLOBAL_KEY}"):
        response = client_of(instance, key).request(method, path, json={"search": {}} if method == "POST" else None)

        assert (response.status_code, response.content) == (401, b"")


def test_webhooks_with_a_tenant_header_are_refused_since_1_66(client_of: Client) -> None:
    for version, status in (("1.65.0", 200), ("1.66.0", 401)):
        client = client_of(an_installation(version))

        assert client.get("/api/webhook", headers={TENANT_HEADER: TENANT_ID}).status_code == status


def test_a_key_of_a_tenant_sees_that_tenant_alone(instance: Instance, client_of: Client) -> None:
    other = instance.save_tenant(a_tenant())["id"]

    client = client_of(instance, TENANT_KEY)

    assert [tenant["id"] for tenant in client.get("/api/tenant").json()["tenants"]] == [TENANT_ID]
    assert client.get(f"/api/tenant/{other}").status_code == 401


def test_saving_a_tenant_drops_what_it_cannot_have(instance: Instance, client_of: Client) -> None:
    events = {
        "user.create.complete": {"enabled": True, "transactionType": "AbsoluteMajority"},
        "user.create": {"enabled": True, "transactionType": "AbsoluteMajority"},
        "event-log.create": {"enabled": True, "transactionType": "None"},
    }
    change = {"tenant": {"eventConfiguration": {"events": events}}}

    saved = client_of(instance).patch(f"/api/tenant/{TENANT_ID}", json=change).json()["tenant"]

    assert saved["eventConfiguration"]["events"] == {
        "user.create.complete": {"enabled": True, "transactionType": "None"},
        "user.create": {"enabled": True, "transactionType": "AbsoluteMajority"},
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": None}, "[blank]webhook.url"),
        ({"url": "ftp://x"}, "[invalid]webhook.url"),
        ({"connectTimeout": None}, "[missing]webhook.connectTimeout"),
        ({"readTimeout": 0}, "[missing]webhook.readTimeout"),
        ({"eventsEnabled": {"user.invented": True}}, "[invalidJSON]webhook.eventsEnabled"),
        ({"tenantIds": ["44444444-0000-4000-8000-000000000000"]}, "[invalid]webhook.tenantIds"),
        (
            {"signatureConfiguration": {"enabled": True, "signingKeyId": "none"}},
            "[invalid]webhook.signatureConfiguration.signingKeyId",
        ),
    ],
)
def test_an_odd_webhook_is_refused(change: dict[str, Any], code: str, instance: Instance, client_of: Client) -> None:
    response = client_of(instance).post("/api/webhook", json={"webhook": a_webhook(**change)})

    assert response.status_code == 400
    assert code in [error["code"] for error in response.json()["fieldErrors"]]
    assert instance.webhooks == {}


def test_a_patch_changes_what_it_names_and_a_put_replaces(instance: Instance, client_of: Client) -> None:
    client = client_of(instance)
    saved = client.post("/api/webhook", json={"webhook": a_webhook(headers={"a": "b"})})
    path = f"/api/webhook/{_id(saved, 'webhook')}"

    patched = client.patch(path, json={"webhook": {"readTimeout": 5000}}).json()["webhook"]
    replaced = client.put(path, json={"webhook": a_webhook(description="new")}).json()["webhook"]

    assert (patched["readTimeout"], patched["headers"]) == (5000, {"a": "b"})
    assert (replaced["readTimeout"], replaced["headers"], replaced["description"]) == (2000, {}, "new")
    assert client.delete(path).status_code == 200
    assert client.get(path).status_code == 404


def test_secrets_are_shown_once_and_never_published(instance: Instance, client_of: Client) -> None:
    client = client_of(instance)

    made = client.post("/api/key/generate", json={"key": {"algorithm": "HS256"}}).json()["key"]

    assert made["secret"]
    assert "secret" not in client.get(f"/api/key/{made['id']}").json()["key"]
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"webhook": 3}'])
def test_a_body_that_is_no_object_is_refused(body: bytes, instance: Instance, client_of: Client) -> None:
    assert client_of(instance).post("/api/webhook", content=body).status_code == 400


def test_an_attempt_can_be_served_bare(client_of: Client) -> None:
    instance = an_installation(quirks=Quirks(is_attempt_wrapped=False))
    logged(instance)

    attempt = client_of(instance).get("/api/system/webhook-attempt-log/11111111-0000-4000-8000-000000000001").json()

    assert attempt["attemptResult"] == "Success"
