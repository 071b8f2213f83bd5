"""Events that the store does not take wait on the local disk, and reach the store as if they had come directly."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet

from harness.events import a_body, an_event
from harness.stack import API_KEY, wait_until
from surehook.shared.encryption import BodyCipher
from surehook.shared.scripts import text
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.ledger import is_balanced, ledger
from tests.support.spooling import databases
from tests.support.store_faults import FAULTS, Away, not_durable

pytestmark = pytest.mark.usefixtures("looks_often")


@pytest.fixture
def spooling(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a spool."""
    return settings.model_copy(update={"spool_dir": str(tmp_path / "spool"), "store_timeout": 0.2})


@pytest.fixture
def endpoint(spooling: Settings) -> Iterator[OpenEndpoint]:
    with open_endpoint(spooling) as endpoint:
        yield endpoint


def spooled(endpoint: OpenEndpoint) -> float:
    return endpoint.metric("surehook_spooled_events")


def wait_until_empty(endpoint: OpenEndpoint) -> None:
    wait_until(lambda: spooled(endpoint) == 0, "the spool is empty")


@contextmanager
def away(endpoint: OpenEndpoint, store: redis.Redis, fault: Away = not_durable) -> Iterator[None]:
    """The store takes nothing, and the endpoint has noticed."""
    with fault(store):
        first = an_event()
        wait_until(lambda: [endpoint.deliver(first), spooled(endpoint)][1], "events are spooled")
        yield


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_store_does_not_take_is_answered_202_and_forwarded_in_order(
    endpoint: OpenEndpoint, store: redis.Redis, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.INFO, logger="surehook")
    with away(endpoint, store, FAULTS[fault]):
        events = [an_event("user.create") for _ in range(20)]
        began_at = time.time()
        answers = [endpoint.deliver(event) for event in events]
        readyz = endpoint.request("GET", "/readyz")
        ended_at = time.time()
    last = an_event("user.create")
    wait_until(lambda: store.zcard("surehook:open") == 21, "all are forwarded")
    wait_until_empty(endpoint)
    endpoint.deliver(last)
    wait_until(lambda: store.llen("rq:queue:events") == 22, "the last is stored")

    assert [answer.status_code for answer in answers] == [202] * 20
    assert readyz.status_code == 200
    assert [text(each) for each in store.lrange("rq:queue:events", 1, -1)] == [each["id"] for each in [*events, last]]
    record = store.hgetall(f"surehook:event:{events[0]['id']}")
    assert (record[b"source"], record[b"body"]) == (b"webhook", a_body(events[0]))
    assert began_at - 1 < int(record[b"received_at"]) / 1000 < ended_at + 1
    assert is_balanced(store)
    assert ledger(store)["accepted"] == 22
    messages = [record.message for record in caplog.records]
    assert messages.count("spooling started") == messages.count("spooling ended")


def test_a_second_copy_is_a_duplicate_while_the_first_waits_and_afterwards(
    endpoint: OpenEndpoint, store: redis.Redis
) -> None:
    event = an_event()
    with away(endpoint, store):
        statuses = [endpoint.deliver(event).status_code for _ in range(3)]
    wait_until_empty(endpoint)

    assert statuses == [202, 200, 200]
    assert endpoint.deliver(event).status_code == 200
    assert ledger(store)["accepted"] == 2


def test_an_event_that_the_store_had_after_all_is_stored_once(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    event = an_event()
    endpoint.deliver(event)
    with away(endpoint, store):
        assert endpoint.deliver(event).status_code == 202  # the spool cannot know it
    wait_until_empty(endpoint)

    assert ledger(store)["accepted"] == 2
    assert store.llen("rq:queue:events") == 2
    assert is_balanced(store)


def test_the_backlog_limit_lets_events_wait_in_the_spool(spooling: Settings, store: redis.Redis) -> None:
    with open_endpoint(spooling.model_copy(update={"max_backlog": 2})) as endpoint:
        answers = [endpoint.deliver().status_code for _ in range(5)]
        wait_until(lambda: spooled(endpoint) == 3, "three wait")
        store.zremrangebyrank("surehook:open", 0, -1)  # as if they were done

        wait_until(lambda: spooled(endpoint) == 1, "there is room for two")

    assert answers == [202] * 5


def test_what_is_left_at_the_end_goes_to_the_next_process(
    spooling: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    event = an_event()
    with open_endpoint(spooling) as endpoint, away(endpoint, store):
        endpoint.deliver(event)
        began = time.monotonic()
        # The store stays away until the endpoint has stopped.
        endpoint.deliver()
    assert time.monotonic() - began < 10
    left = databases(spooling.spool_dir)
    with open_endpoint(spooling) as endpoint:
        wait_until(lambda: store.exists(f"surehook:event:{event['id']}"), "it is adopted")
        wait_until_empty(endpoint)

    assert len(left) <= 1
    assert list(Path(spooling.spool_dir).iterdir()) == []
    assert is_balanced(store)


def test_nothing_remains_on_the_disk_once_all_is_forwarded(
    endpoint: OpenEndpoint, spooling: Settings, store: redis.Redis
) -> None:
    secret = str(uuid4())
    with away(endpoint, store):
        endpoint.deliver(an_event(note=secret))
        assert any(secret.encode() in file.read_bytes() for file in Path(spooling.spool_dir).iterdir())
    wait_until_empty(endpoint)

    files = list(Path(spooling.spool_dir).iterdir())
    # A file is cut to its length a moment after the last event has left it.
    wait_until(lambda: not any(secret.encode() in file.read_bytes() for file in files), "it is gone")
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


def test_bodies_are_encrypted_in_the_spool_and_get_the_newest_key_when_they_are_forwarded(
    spooling: Settings, store: redis.Redis
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    secret, event_id = str(uuid4()), str(uuid4())
    before = Settings.model_validate({**spooling.model_dump(), "encryption_keys": old})
    with not_durable(store):
        with open_endpoint(before, is_awaited=False) as endpoint:
            assert endpoint.deliver(an_event(id=event_id, note=secret)).status_code == 202
        files = list(Path(spooling.spool_dir).iterdir())
        assert files
        assert not any(secret.encode() in file.read_bytes() for file in files)
    rotated = Settings.model_validate({**spooling.model_dump(), "encryption_keys": f"{new},{old}"})
    with open_endpoint(rotated):
        wait_until(lambda: store.exists(f"surehook:event:{event_id}"), "it is forwarded")

    record = store.hgetall(f"surehook:event:{event_id}")
    newest = BodyCipher(Settings(api_keys=API_KEY, encryption_keys=new).encryption_keys)
    assert (
        secret in json.loads(newest.decrypt(text(record[b"body"]).encode(), text(record[b"key_id"])))["event"]["note"]
    )


def test_a_full_spool_refuses_until_there_is_room_again(
    spooling: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with open_endpoint(spooling.model_copy(update={"spool_max_bytes": 200_000})) as endpoint:
        with away(endpoint, store):
            statuses = [endpoint.deliver(an_event(note="n" * 20_000)).status_code for _ in range(20)]
            wait_until(lambda: not endpoint.is_ready(), "neither takes events")
        wait_until_empty(endpoint)
        wait_until(endpoint.is_ready, "/readyz is green")
        after = endpoint.deliver()

    assert statuses == sorted(statuses)
    assert {202, 503} == set(statuses)
    assert ledger(store)["accepted"] == 2 + statuses.count(202)
    assert after.status_code == 202
    assert [each.message for each in caplog.records].count("spool full") == 1


def test_an_event_that_the_store_refuses_for_itself_does_not_block_the_others(
    endpoint: OpenEndpoint, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    events = [an_event() for _ in range(3)]
    store.set(f"surehook:event:{events[1]['id']}", "of another kind")
    with away(endpoint, store):
        for event in events:
            endpoint.deliver(event)
    wait_until_empty(endpoint)

    assert store.llen("rq:queue:events") == 3
    aside = [each for each in caplog.records if each.message == "spooled event set aside"]
    assert [(each.event_id, each.reason) for each in aside] == [(events[1]["id"], "WRONGTYPE")]  # type: ignore[attr-defined]
    assert endpoint.metric("surehook_spool_set_aside") == 1


def test_large_events_are_spooled_too(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    event = an_event("user.bulk.create", users=["x" * 2_000_000])
    with away(endpoint, store):
        assert endpoint.deliver(event).status_code == 202
    wait_until_empty(endpoint)

    assert store.hget(f"surehook:event:{event['id']}", "body") == a_body(event)
