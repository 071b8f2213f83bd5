"""From a delivery to a job on disk: accepted events, duplicates, and a store that cannot accept."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from harness.events import TENANT_ID, USER_ID, a_body, an_event
from harness.stack import wait_until
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from surehook.workers.execution.attempts import AttemptRecord
from tests.support.claiming import SingleClaims
from tests.support.endpoint import HEADERS, OpenEndpoint, open_endpoint
from tests.support.ledger import ledger
from tests.support.log_reasons import reasons
from tests.support.store_dump import kept_keys

ATTEMPT = AttemptRecord("h", 1, datetime(2026, 1, 1, tzinfo=UTC), 1.0, "failed", "ValueError")
QUEUE = "rq:queue:events"


@pytest.fixture
def endpoint(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenEndpoint]:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 0.05)
    with open_endpoint(settings) as endpoint:
        yield endpoint


@pytest.fixture
def claims(claims_of: Callable[..., SingleClaims]) -> SingleClaims:
    return claims_of()


def test_an_accepted_event_is_answered_with_its_id(endpoint: OpenEndpoint) -> None:
    event = an_event()

    response = endpoint.deliver(event)

    assert response.status_code == 202
    assert response.content == b'{"status":"accepted","eventId":"%s"}' % event["id"].encode()
    assert response.headers["content-type"] == "application/json"


def test_an_accepted_event_is_on_record_open_and_counted(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    event = an_event("user.create", applicationId=TENANT_ID)

    endpoint.deliver(event)

    record = store.hgetall(f"surehook:event:{event['id']}")
    assert [text(record[name]) for name in (b"type", b"tenant", b"user", b"application", b"source")] == [
        "user.create",
        TENANT_ID,
        USER_ID,
        TENANT_ID,
        "webhook",
    ]
    assert store.ttl(f"surehook:event:{event['id']}") == -1
    assert store.zrange("surehook:open", 0, -1) == [event["id"].encode()]
    assert ledger(store) == {"open": 1, "accepted": 1}
    assert endpoint.metric("surehook_events_accepted_total", type="user.create") == 1


def test_an_accepted_event_is_a_job_that_rq_reads(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    event = an_event("user.create")

    endpoint.deliver(event)

    job = Job.fetch(event["id"], connection=store, serializer=JSONSerializer)
    assert job.args == [event["id"]]
    assert job.description == f"user.create {event['id'][:8]}…"
    assert (job.get_status(), job.origin, job.failure_ttl) == (JobStatus.QUEUED, "events", -1)
    assert store.lrange(QUEUE, 0, -1) == [event["id"].encode()]
    assert store.smembers("rq:queues") == {QUEUE.encode()}


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param(b'"n": ' + b"9" * 5000, id="an int of 5000 digits"),
        pytest.param(b'"n": 1e400', id="a float beyond double"),
        pytest.param(b'"k": 1, "k": 2', id="a key that stands twice"),
        pytest.param(b'"s": "\\ud800\\u0000"', id="a lone surrogate and a NUL, escaped"),
        pytest.param('\r\n\t  "name" : "Zoë\u2028"\n'.encode(), id="white space and beyond ASCII"),
        pytest.param(b'"blob": "' + b"x" * 1_000_000 + b'"', id="a megabyte"),
    ],
)
def test_the_body_is_stored_byte_for_byte(endpoint: OpenEndpoint, store: redis.Redis, inside: bytes) -> None:
    body = b'{"event": {"type": "test", "id": "%s", %s}}\n' % (USER_ID.encode(), inside)

    response = endpoint.deliver(body=body)

    assert response.status_code == 202
    assert store.hget(f"surehook:event:{USER_ID}", "body") == body


def wait_in_queue(_: SingleClaims) -> None: ...


def be_taken(claims: SingleClaims) -> None:
    assert claims.claim()


def be_done(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim
    assert claims.finish(claim, "done", ATTEMPT)


def be_dead(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim
    assert claims.bury(claim, ATTEMPT, "Traceback")


def wait_for_retry(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim
    assert claims.retry(claim, ATTEMPT, "Traceback", delay_seconds=60, spends_retry=True)


@pytest.mark.parametrize(
    ("happen", "queued"), [(wait_in_queue, 1), (be_taken, 0), (be_done, 0), (be_dead, 0), (wait_for_retry, 0)]
)
def test_an_event_seen_before_is_a_duplicate_whatever_became_of_it(
    endpoint: OpenEndpoint,
    store: redis.Redis,
    claims: SingleClaims,
    happen: Callable[[SingleClaims], None],
    queued: int,
) -> None:
    event = an_event()
    endpoint.deliver(event)
    happen(claims)
    before = ledger(store)

    response = endpoint.deliver({**event, "id": event["id"].upper()})

    assert response.status_code == 200
    assert response.json() == {"status": "duplicate", "eventId": event["id"]}
    assert store.llen(QUEUE) == queued
    assert ledger(store) == before
    assert endpoint.metric("surehook_events_duplicate_total") == 1


def test_the_first_body_of_an_id_stands(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    event = an_event()
    first = a_body(event)
    endpoint.deliver(body=first)

    endpoint.deliver({**event, "type": "user.create"})

    assert store.hget(f"surehook:event:{event['id']}", "body") == first


def test_without_an_id_a_byte_equal_resend_is_a_duplicate(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    body = a_body(an_event(id=None))

    first, second, other = endpoint.deliver(body=body), endpoint.deliver(body=body), endpoint.deliver(body=body + b" ")

    assert [answer.status_code for answer in (first, second, other)] == [202, 200, 202]
    assert first.json()["eventId"] == second.json()["eventId"]
    assert UUID(first.json()["eventId"]).version == 5
    assert store.llen(QUEUE) == 2


def test_every_configured_key_authenticates(settings: Settings) -> None:
    rotating = Settings(data_dir=settings.data_dir, api_keys="the-old-key, the-new-key", metrics_bind="off")

    with open_endpoint(rotating) as endpoint:
        answers = [
            endpoint.deliver(headers={**HEADERS, "Authorization": key}).status_code
            for key in ("the-old-key", "the-new-key", "Bearer the-new-key", "bearer the-old-key", "older-key")
        ]

    assert answers == [202, 202, 202, 202, 401]


def test_unknown_types_are_accepted_and_share_one_label(endpoint: OpenEndpoint) -> None:
    types = ["x", "user.create2", "proto__", "A" * 100, "9.9-_"]

    answers = [endpoint.deliver(an_event(hostile)).status_code for hostile in types]

    assert answers == [202] * len(types)
    assert endpoint.metric("surehook_events_accepted_total", type="other") == len(types)
    assert all(endpoint.metric("surehook_events_accepted_total", type=hostile) == 0 for hostile in types)


def test_scripts_the_store_forgot_are_sent_again(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    endpoint.deliver()
    store.script_flush()

    assert endpoint.deliver().status_code == 202


def test_a_store_that_may_lose_events_gets_none_until_it_is_durable_again(
    endpoint: OpenEndpoint, store: redis.Redis
) -> None:
    store.config_set("appendfsync", "everysec")
    try:
        wait_until(lambda: not endpoint.is_ready(), "/readyz is red")
        refused, readyz = endpoint.deliver(), endpoint.request("GET", "/readyz")
        healthz = endpoint.request("GET", "/healthz")
    finally:
        store.config_set("appendfsync", "always")
    wait_until(endpoint.is_ready, "/readyz is green")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["exception"] == "[unavailable] the event may not have been stored"
    assert (readyz.status_code, readyz.json()["exception"]) == (503, "[unavailable]")
    assert healthz.status_code == 200
    assert ledger(store) == {"open": 0}
    assert endpoint.deliver().status_code == 202


@pytest.mark.parametrize("durability", ["fsync", "trusted", "memory"])
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_store_that_may_drop_keys_is_refused_with_what_to_change(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture, durability: str, policy: str
) -> None:
    words = f"maxmemory-policy is {policy}, must be noeviction"
    store.config_set("maxmemory-policy", policy)
    try:
        with open_endpoint(settings.model_copy(update={"durability": durability}), is_awaited=False) as endpoint:
            wait_until(lambda: words in reasons(caplog), "it is told")
            response = endpoint.deliver()
    finally:
        store.config_set("maxmemory-policy", "noeviction")

    assert response.status_code == 503


def test_a_full_store_is_a_503_with_its_reason_in_the_log_and_nothing_is_half_stored(
    endpoint: OpenEndpoint, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store.config_set("maxmemory", "1")
    try:
        response = endpoint.deliver()
    finally:
        store.config_set("maxmemory", "0")
    wait_until(endpoint.is_ready, "/readyz is green")

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "OOM" in [getattr(record, "error_type", "") for record in caplog.records]
    assert kept_keys(store) == []
    assert endpoint.deliver().status_code == 202
