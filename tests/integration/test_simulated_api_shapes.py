"""Every endpoint of the simulated API takes and gives what FusionAuth's OpenAPI says."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.api import Api
from tests.integration.test_simulated_api import logged
from tests.support.openapi import needs_openapi, require_shape, schemas_of
from tests.support.simulated_fusionauth import a_tenant, a_webhook, an_installation, clients

# FusionAuth's pages have these, and its OpenAPI does not. They answer as the published operations beside them.
DOCUMENTED_ONLY = {
    ("GET", "/api/integration"): ("PATCH", "/api/integration"),
    ("GET", "/api/system-configuration"): ("PATCH", "/api/system-configuration"),
    ("GET", "/api/system/webhook-event-log/search"): ("POST", "/api/system/webhook-event-log/search"),
    ("GET", "/api/tenant"): ("POST", "/api/tenant"),
    ("GET", "/api/webhook/search"): ("POST", "/api/webhook/search"),
}
LOG = "/api/system/webhook-event-log"


@dataclass
class Published:
    """A client that compares requests and responses with the OpenAPI, and notes which operations it has seen."""

    client: httpx.Client
    seen: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, method: str, route: str, record_id: object = "", **body: Any) -> Any:
        operation = (method, route)
        schemas = schemas_of(*DOCUMENTED_ONLY.get(operation, operation))
        assert schemas is not None, f"{method} {route} is not published"
        if body and schemas[0] is not None:
            require_shape(body, schemas[0])

        answer = self.client.request(method, route.replace("{id}", str(record_id)), json=body or None)

        assert answer.status_code == 200, (operation, answer.text)
        self.seen.add(operation)
        if schemas[1] is None or not answer.content:
            return None
        require_shape(answer.json(), schemas[1])
        return answer.json()


@pytest.fixture
def published() -> Iterator[Published]:
    instance = an_installation()
    logged(instance)
    with clients() as open_client:
        yield Published(open_client(instance))


@needs_openapi
def test_every_operation_takes_and_gives_the_published_shapes(published: Published) -> None:
    _keys(published)
    _webhooks(published)
    _tenants(published)
    _configuration(published)
    _log(published)

    routes = Api(an_installation()).app().routes
    offered = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and route.path != "/"
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert published.seen == offered


def _keys(call: Published) -> None:
    new = {"algorithm": "RS256", "name": "hooks", "length": 2048}
    made = call("POST", "/api/key/generate", key=new)["key"]
    named = call("POST", "/api/key/generate/{id}", uuid4(), key={**new, "algorithm": "ES256"})["key"]
    secret = {"algorithm": "HS256", "name": "shared", "secret": "a-secret-for-tests-only", "type": "HMAC"}
    call("POST", "/api/key/import", key=secret)
    call("POST", "/api/key/import/{id}", uuid4(), key=secret)
    found = call("POST", "/api/key/search", search={"name": "HOOKS", "type": "RSA", "numberOfResults": 5})
    renamed = call("PUT", "/api/key/{id}", made["id"], key={"name": "webhooks"})["key"]

    assert ([key["id"] for key in found["keys"]], found["total"]) == ([made["id"]], 1)
    assert renamed == call("GET", "/api/key/{id}", made["id"])["key"] | {"name": "webhooks"}
    assert len(call("GET", "/api/key")["keys"]) == 4
    assert len(call("GET", "/.well-known/jwks.json")["keys"]) == 2
    call("GET", "/api/jwt/public-key")
    call("DELETE", "/api/key/{id}", named["id"])


def _webhooks(call: Published) -> None:
    key = call("GET", "/api/key")["keys"][0]
    signed = a_webhook(signatureConfiguration={"enabled": True, "signingKeyId": key["id"]})
    made = call("POST", "/api/webhook", webhook=signed)["webhook"]
    other = str(uuid4())
    call("POST", "/api/webhook/{id}", other, webhook=a_webhook(description="another"))
    call("PUT", "/api/webhook/{id}", other, webhook=a_webhook(tenantIds=[TENANT_ID]))
    call("PATCH", "/api/webhook/{id}", other, webhook={"readTimeout": 900})
    call("DELETE", "/api/webhook/{id}", other)

    assert [hook["id"] for hook in call("GET", "/api/webhook")["webhooks"]] == [made["id"]]
    assert call("GET", "/api/webhook/{id}", made["id"])["webhook"] == made
    assert call("POST", "/api/webhook/search", search={"url": "hook"})["total"] == 1
    assert call("GET", "/api/webhook/search")["total"] == 1


def _tenants(call: Published) -> None:
    made = call("POST", "/api/tenant", tenant=a_tenant(name="Vineyard"))["tenant"]
    other = str(uuid4())
    call("POST", "/api/tenant/{id}", other, tenant=a_tenant())
    call("PUT", "/api/tenant/{id}", other, tenant=a_tenant("Any"))
    call("PATCH", "/api/tenant/{id}", other, tenant={"name": "Meadow"})
    call("DELETE", "/api/tenant/{id}", other)

    assert call("POST", "/api/tenant/search", search={"name": "vine"})["tenants"] == [made]
    assert call("GET", "/api/tenant/{id}", made["id"])["tenant"] == made
    assert len(call("GET", "/api/tenant")["tenants"]) == 2


def _configuration(call: Published) -> None:
    change = {"webhookEventLogConfiguration": {"enabled": True}}
    call("PUT", "/api/system-configuration", systemConfiguration=change)
    call("PATCH", "/api/system-configuration", systemConfiguration=change)
    call("GET", "/api/system-configuration")
    call("PUT", "/api/integration", integrations={"kafka": {"enabled": True}})
    call("PATCH", "/api/integration", integrations={"kafka": {"enabled": False}})
    call("GET", "/api/integration")
    call("GET", "/api/status")
    call("GET", "/api/system/version")


def _log(call: Published) -> None:
    found = call("POST", f"{LOG}/search", search={"numberOfResults": 5, "orderBy": "sequence ASC"})
    entry = found["webhookEventLogs"][0]
    call("GET", f"{LOG}/search")
    call("GET", f"{LOG}/{{id}}", entry["id"])
    call("GET", "/api/system/webhook-attempt-log/{id}", entry["attempts"][0]["id"])
