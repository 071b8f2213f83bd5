"""Reports of a delivery whose id is known: a resend, or another event with the same id."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet

from harness.events import USER_ID, an_event
from harness.stack import API_KEY, wait_until
from surehook import Reject, on
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.transactional.executor import TransactionalExecutor
from tests.support.claiming import SingleClaims
from tests.support.endpoint import OpenEndpoint, open_endpoint

ATTEMPT = AttemptRecord("h", 1, datetime(2026, 1, 1, tzinfo=UTC), 1.0, "failed", "ValueError")


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[OpenEndpoint]:
    with open_endpoint(settings) as endpoint:
        yield endpoint


def nothing(_: SingleClaims) -> None: ...


def be_done(claims: SingleClaims) -> None:
    claim = claims.claim()
    assert claim
    assert claims.finish(claim, "done", ATTEMPT)


def different_events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str, str]]:
    """Level, id, type and stored type of each event that was reported."""
    fields = ("levelname", "event_id", "event_type", "known_type")
    lines = [record for record in caplog.records if record.getMessage() == "another event under a known id"]
    return [tuple(line.__dict__[name] for name in fields) for line in lines]


@pytest.mark.parametrize(
    ("change", "new_type"),
    [
        pytest.param({"type": "user.delete"}, "user.delete", id="another type"),
        pytest.param({"tenantId": USER_ID}, "user.create", id="another body"),
    ],
)
@pytest.mark.parametrize("happen", [nothing, be_done])
def test_another_event_under_a_known_id_is_a_warning_with_both_types(
    endpoint: OpenEndpoint,
    claims_of: Callable[..., SingleClaims],
    caplog: pytest.LogCaptureFixture,
    happen: Callable[[SingleClaims], None],
    change: dict[str, str],
    new_type: str,
) -> None:
    event = an_event("user.create")
    endpoint.deliver(event)
    happen(claims_of())

    response = endpoint.deliver({**event, **change})

    assert response.status_code == 200
    assert different_events(caplog) == [("WARNING", event["id"], new_type, "user.create")]


@pytest.mark.parametrize("happens", ["", "it is decided", "it is refused"])
def test_another_event_under_the_id_of_a_transaction_is_a_warning_with_both_types(
    transactional_endpoint: OpenEndpoint,
    transactional_executor: Callable[..., TransactionalExecutor],
    caplog: pytest.LogCaptureFixture,
    store: redis.Redis,
    happens: str,
) -> None:
    seen: list[str] = []

    @on("user.create", name="decide", transactional=True)
    def decide(event: Any) -> None:
        seen.append(event.user.email)
        if happens == "it is refused":
            raise Reject("no")

    event = an_event("user.create")
    other = {**event, "user": {**event["user"], "email": "another@example.com"}}
    with ThreadPoolExecutor(3) as senders:
        first = senders.submit(transactional_endpoint.deliver, event)
        wait_until(lambda: store.exists(Keys().event(event["id"])), "the first one is there")
        if happens:
            transactional_executor().run_until_idle(1)
            first.result()
        second = senders.submit(transactional_endpoint.deliver, other)
        third = senders.submit(transactional_endpoint.deliver, {**event, "type": "user.delete", "tenantId": USER_ID})
        wait_until(lambda: len(different_events(caplog)) == 2, "both are reported")
        if not happens:
            transactional_executor().run_until_idle(1)
        statuses = {each.result().status_code for each in (first, second, third)}

    assert sorted(different_events(caplog)) == [
        ("WARNING", event["id"], "user.create", "user.create"),
        ("WARNING", event["id"], "user.delete", "user.create"),
    ]
    assert statuses == {422 if happens == "it is refused" else 200}
    assert seen == [event["user"]["email"]]


def test_a_resent_transaction_is_no_warning(
    transactional_endpoint: OpenEndpoint,
    transactional_executor: Callable[..., TransactionalExecutor],
    caplog: pytest.LogCaptureFixture,
) -> None:
    on("user.create", name="decide", transactional=True)(lambda event: None)
    event = an_event("user.create")
    with ThreadPoolExecutor(1) as senders:
        first = senders.submit(transactional_endpoint.deliver, event)
        wait_until(lambda: transactional_executor().run_until_idle(0.05), "it is decided")
        first.result()

    assert transactional_endpoint.deliver(event).status_code == 200
    assert different_events(caplog) == []


def test_a_resend_is_one_line_at_info_and_no_warning(endpoint: OpenEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    event = an_event("user.create")

    for _ in range(3):
        endpoint.deliver(event)

    lines = [record for record in caplog.records if record.getMessage() == "duplicate delivery"]
    assert [(line.levelname, line.__dict__["event_id"]) for line in lines[:1]] == [("INFO", event["id"])]
    assert len(lines) <= 2
    assert different_events(caplog) == []


def test_encrypted_bodies_are_not_compared_but_types_are(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    encrypting = Settings(data_dir=settings.data_dir, api_keys=API_KEY, encryption_keys=Fernet.generate_key().decode())
    event = an_event("user.create")

    with open_endpoint(encrypting) as endpoint:
        for each in (event, event, {**event, "type": "user.delete"}):
            endpoint.deliver(each)

    assert different_events(caplog) == [("WARNING", event["id"], "user.delete", "user.create")]
