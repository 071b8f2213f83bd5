"""Every payload of FusionAuth is stored and readable; no payload of any other client breaks the endpoint."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from harness.events import USER_ID, a_body, an_event
from surehook.fusionauth.samples import sample
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models import event_from
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.payloads import EXAMPLES, thawed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Examples share one store: an event seen before is a duplicate, and that is as good an answer.
MANY = examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[OpenEndpoint]:
    with open_endpoint(settings) as endpoint:
        yield endpoint


def assert_kept(endpoint: OpenEndpoint, store: redis.Redis, body: bytes) -> None:
    response = endpoint.deliver(body=body)

    assert response.status_code == 202
    event_id = response.json()["eventId"]
    stored = store.hget(f"surehook:event:{event_id}", "body")
    assert stored == body
    event, sent = event_from(event_id, stored), json.loads(body)["event"]
    assert thawed(event) == {**sent, "id": event_id}
    assert event.type == sent["type"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_published_payload_is_accepted_and_read_back(
    endpoint: OpenEndpoint, store: redis.Redis, name: str
) -> None:
    assert_kept(endpoint, store, EXAMPLES[name])


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_type_of_the_catalogue_is_accepted_and_counted_by_name(
    endpoint: OpenEndpoint, store: redis.Redis, event_type: str
) -> None:
    assert_kept(endpoint, store, json.dumps(sample(event_type, now=NOW, event_id=UUID(USER_ID))).encode())

    assert endpoint.metric("surehook_events_accepted_total", type=event_type) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
ENVELOPE_FIELDS = st.sampled_from(
    ["id", "type", "createInstant", "tenantId", "user", "userId", "actioneeUserId", "applicationId", "info"]
)
VALID = a_body(an_event(id=USER_ID))
MUTATIONS = st.lists(
    st.tuples(st.integers(0, len(VALID)), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4
)


def mutated(body: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for at, cut, put in mutations:
        body = body[:at] + put + body[at + cut :]
    return body


def assert_answered(endpoint: OpenEndpoint, store: redis.Redis, body: bytes) -> None:
    response = endpoint.deliver(body=body)

    assert response.status_code in (200, 202, 400)
    if response.status_code == 400:
        assert response.json()["exception"].startswith("[malformed] ")
        return
    stored = store.hget(f"surehook:event:{response.json()['eventId']}", "body")
    assert stored is not None
    assert response.status_code == 200 or stored == body


@MANY
@given(st.binary(max_size=4096))
@example(b"\xff\xfe")
def test_random_bytes_never_break_the_endpoint(endpoint: OpenEndpoint, store: redis.Redis, body: bytes) -> None:
    assert_answered(endpoint, store, body)


@MANY
@given(MUTATIONS)
def test_a_damaged_event_never_breaks_the_endpoint(
    endpoint: OpenEndpoint, store: redis.Redis, mutations: list[tuple[int, int, bytes]]
) -> None:
    assert_answered(endpoint, store, mutated(VALID, mutations))


@MANY
@given(st.dictionaries(ENVELOPE_FIELDS | st.text(), JSON, max_size=5))
@example({"user": {"id": ["x"]}, "userId": {}, "actioneeUserId": 1.5})
def test_odd_values_in_any_field_never_break_the_endpoint(
    endpoint: OpenEndpoint, store: redis.Redis, fields: dict[str, Any]
) -> None:
    event = {"id": USER_ID, "type": "test", **fields}

    assert_answered(endpoint, store, json.dumps({"event": event}).encode())
