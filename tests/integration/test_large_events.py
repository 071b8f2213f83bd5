"""A large event is stored on a connection of its own, with the same outcomes as a small one."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet

from harness.events import a_body, an_event
from harness.stack import API_KEY
from surehook.ingest.store.acceptor import LARGE_EVENT_BYTES
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint

MUCH = "x" * LARGE_EVENT_BYTES


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[OpenEndpoint]:
    with open_endpoint(settings) as endpoint:
        yield endpoint


def connections(store: redis.Redis) -> int:
    return int(store.info("stats")["total_connections_received"])


def test_a_large_event_has_its_own_connection_and_is_stored_byte_for_byte(
    endpoint: OpenEndpoint, store: redis.Redis
) -> None:
    event_id, before = str(uuid4()), connections(store)
    body = a_body(an_event("user.bulk.create", id=event_id, users=[MUCH]))

    response = endpoint.deliver(body=body)

    assert (response.status_code, response.json()["eventId"]) == (202, event_id)
    assert store.hget(f"surehook:event:{event_id}", "body") == body
    assert connections(store) == before + 1
    assert endpoint.is_ready()


def test_a_small_event_needs_no_other_connection(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    before = connections(store)

    endpoint.deliver()

    assert connections(store) == before


def test_a_large_event_seen_before_is_a_duplicate(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    body = a_body(an_event(users=[MUCH]))
    endpoint.deliver(body=body)
    store.script_flush()

    assert endpoint.deliver(body=body).status_code == 200


def test_a_large_event_is_encrypted(settings: Settings, store: redis.Redis) -> None:
    encrypting = Settings(
        data_dir=settings.data_dir, api_keys=API_KEY, encryption_keys=Fernet.generate_key().decode(), metrics_bind="off"
    )
    event = an_event(users=[MUCH])

    with open_endpoint(encrypting) as endpoint:
        assert endpoint.deliver(event).status_code == 202

    assert text(store.hget(f"surehook:event:{event['id']}", "body")).startswith("gAAAA")


def test_a_large_event_beyond_the_backlog_is_refused(settings: Settings, store: redis.Redis) -> None:
    with open_endpoint(settings.model_copy(update={"max_backlog": 1})) as endpoint:
        endpoint.deliver()

        response = endpoint.deliver(an_event(users=[MUCH]))

        assert response.status_code == 503
        assert endpoint.metric("surehook_deliveries_refused_total", reason="backlog_full") == 1


def test_a_large_event_in_a_full_store_is_refused(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    store.config_set("maxmemory", 1)
    try:
        response = endpoint.deliver(an_event(users=[MUCH]))
    finally:
        store.config_set("maxmemory", 0)

    assert response.status_code == 503
    assert endpoint.metric("surehook_deliveries_refused_total", reason="store_full") == 1


@pytest.mark.parametrize("end", [b"", b"}} x", b'"}}'])
def test_a_large_body_that_is_no_json_is_refused(endpoint: OpenEndpoint, end: bytes) -> None:
    body = b'{"event": {"type": "test", "x": "%b"%b' % (MUCH.encode(), end)

    response = endpoint.deliver(body=body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "[malformed]"
