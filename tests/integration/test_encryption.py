"""Encrypted bodies: how they are stored, and how workers with and without the key run them."""

import time
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import a_body, an_event
from harness.stack import wait_until
from surehook import on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.settings import Settings
from tests.integration.conftest import Accept, Counts, Open
from tests.support.endpoint import open_endpoint
from tests.support.ledger import is_balanced, ledger

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def cipher(*keys: str) -> BodyCipher:
    return BodyCipher([SecretStr(key) for key in keys])


@pytest.fixture
def seen() -> list[Any]:
    seen: list[Any] = []
    on("user.delete", name="it", retries=0)(seen.append)
    return seen


def test_a_body_is_encrypted_before_it_leaves_the_endpoint(settings: Settings, store: redis.Redis) -> None:
    event, plain = an_event(), an_event()

    with open_endpoint(settings.model_copy(update={"encryption_keys": (SecretStr(NEW), SecretStr(OLD))})) as endpoint:
        assert endpoint.deliver(event).status_code == 202
        assert endpoint.deliver(event).status_code == 200
        store.script_flush()  # sent in full then, and still encrypted
        assert endpoint.deliver(an_event()).status_code == 202
    with open_endpoint(settings) as endpoint:
        endpoint.deliver(plain)

    body: Any
    body, key_id = store.hmget(f"surehook:event:{event['id']}", "body", "key_id")
    assert key_id == fingerprint(NEW).encode()
    assert cipher(NEW).decrypt(body, fingerprint(NEW)) == a_body(event)
    assert store.hmget(f"surehook:event:{plain['id']}", "body", "key_id") == [a_body(plain), None]
    readable = [key for key in store.scan_iter("surehook:event:*") if b"mara" in (store.hget(key, "body") or b"")]
    assert readable == [f"surehook:event:{plain['id']}".encode()]


def test_a_handler_gets_the_body_as_it_came(accept: Accept, run_worker: Any, seen: list[Any]) -> None:
    accept(cipher=cipher(OLD))
    accept(cipher=cipher(NEW))
    accept()

    run_worker(turns=3, cipher=cipher(NEW, OLD))

    assert [event.user.email for event in seen] == ["mara.lindqvist@example.com"] * 3
    assert b"mara.lindqvist" in seen[0].raw


@pytest.mark.parametrize("keys", [(), (OLD,)], ids=["none", "another"])
def test_an_event_whose_key_is_missing_is_given_back_without_a_counted_attempt(
    keys: tuple[str, ...],
    accept: Accept,
    run_worker: Any,
    seen: list[Any],
    store: redis.Redis,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = accept(cipher=cipher(NEW)), accept(cipher=cipher(NEW))

    worker = run_worker(turns=1, cipher=cipher(*keys))
    worker.turn()

    assert counts.not_ready == {"key_missing"}
    assert [record.__dict__["key_id"] for record in caplog.records] == [fingerprint(NEW)]
    assert store.lrange("rq:queue:events", 0, -1) == [first.encode(), second.encode()]
    assert store.hget(f"surehook:event:{first}", "runs:") == b"0"
    assert ledger(store) == {"open": 2, "accepted": 2}
    assert (seen, counts.runs) == ([], [])
    run_worker(turns=2, cipher=cipher(NEW))  # a worker that has the key
    assert [str(event.id) for event in seen] == [first, second]
    assert is_balanced(store)


def test_a_worker_without_the_key_pauses_and_resumes_after_key_rotation(
    accept: Accept,
    open_worker_harness: Open,
    seen: list[Any],
    store: redis.Redis,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    locked = [accept(cipher=cipher(NEW)) for _ in range(20)]
    worker_harness = open_worker_harness(threads=4, cipher=cipher(OLD)).start()
    wait_until(lambda: store.llen("rq:queue:events") == 20 and counts.not_ready, "all went back")
    before = store.info("stats")["total_commands_processed"]
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 0.5)
    assert store.info("stats")["total_commands_processed"] - before < 100
    assert worker_harness.fetcher.jobs() == []
    assert {store.hget(f"surehook:event:{event_id}", "runs:") for event_id in locked} <= {b"0", None}
    assert {record.__dict__["key_id"] for record in caplog.records} == {fingerprint(NEW)}
    assert len(caplog.records) == 1

    for event_id in locked:
        body: Any = store.hget(f"surehook:event:{event_id}", "body")
        sealed, key_id = cipher(OLD).encrypt(cipher(NEW).decrypt(body, fingerprint(NEW)))
        store.hset(f"surehook:event:{event_id}", mapping={"body": sealed, "key_id": key_id})

    wait_until(lambda: len(seen) == 20, "all ran")
    worker_harness.close()
    assert counts.not_ready == set()
    assert is_balanced(store)


def test_an_event_without_handlers_needs_no_key(
    accept: Accept, run_worker: Any, seen: list[Any], store: redis.Redis
) -> None:
    event_id = accept("brand.new-type", cipher=cipher(NEW))

    run_worker()

    assert store.hget(f"surehook:event:{event_id}", "outcome") == b"unhandled"


def test_a_body_that_was_changed_is_a_dead_letter_that_says_so(
    accept: Accept, run_worker: Any, seen: list[Any], store: redis.Redis, dead_letters: DeadLetters
) -> None:
    event_id = accept(cipher=cipher(NEW))
    store.hset(f"surehook:event:{event_id}", "body", b"gAAAAA")

    run_worker(cipher=cipher(NEW))

    (letter,) = dead_letters.matching(Filter())
    assert letter.error.startswith("BodyDamaged: the stored body was changed")
    assert seen == []


def test_an_error_of_an_encrypted_event_is_masked_too(
    accept: Accept, run_worker: Any, dead_letters: DeadLetters
) -> None:
    @on("user.delete", name="it", retries=0)
    def fail(event: Any) -> None:
        raise ValueError(f"no row for {event.user.email}")

    accept(cipher=cipher(NEW))
    run_worker(cipher=cipher(NEW))

    (letter,) = dead_letters.matching(Filter())
    assert letter.error == "ValueError: no row for ***"
    assert "mara" not in dead_letters.traceback(letter)
