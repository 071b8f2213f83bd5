"""The ids of closed events stay known for ID_RETENTION, in small hashes, and are then forgotten in bounded steps."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from harness.known_ids import remember
from surehook import on
from surehook.admin.erasure import Erasure
from surehook.admin.events import EventLog
from surehook.shared.encryption import BodyCipher
from surehook.shared.job_id import packed_id
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from surehook.workers.maintenance.retention import IDS_A_CALL, Retention
from tests.integration.conftest import Accept
from tests.support.claiming import SingleClaims

KEYS = Keys()
DAY_SECONDS = 86_400
MONTH_SECONDS = 30 * DAY_SECONDS
ALL_HASHES = 65_536
Clerks = Callable[..., SingleClaims]
RunWorker = Callable[..., Any]


@pytest.fixture
def log(store: redis.Redis) -> EventLog:
    return EventLog(store, KEYS, handler_timeout=30)


@pytest.fixture
def forget(store: redis.Redis) -> Callable[..., bool]:
    """One step of a walk; returns whether the walk is not over."""
    script = Script("forget_ids", KEYS)
    return lambda limit=ALL_HASHES * 2: bool(script.run(store, MONTH_SECONDS, limit))


def hashes(store: redis.Redis) -> list[bytes]:
    return sorted(store.scan_iter(f"{KEYS.known_ids('')}*", count=1000))


def let_days_pass(store: redis.Redis, days: int) -> None:
    """Dates every known id, and the last walk, back."""
    with store.pipeline(transaction=False) as pipeline:
        for key in hashes(store):
            for field, day in store.hgetall(key).items():
                pipeline.hset(key, field, int(day) - days if field else "")
        pipeline.execute()
    store.hincrby(KEYS.known_ids_state, "day", -days)


def finish(claims: SingleClaims, store: redis.Redis, **_: Any) -> None:
    claim = claims.claim()
    assert claim
    assert claims.finish(claim, "done", None)


def discard(claims: SingleClaims, store: redis.Redis, **_: Any) -> None:
    claim = claims.claim()
    assert claim
    store.zadd(KEYS.rq_failed("events"), {claim.job_id: 1})
    assert Script("discard", KEYS).run(store, "events", claim.job_id, 60)


def erase(claims: SingleClaims, store: redis.Redis, event_id: str) -> None:
    Erasure(store, KEYS, BodyCipher(), retention_seconds=60).erase(event_id)


def erase_later(claims: SingleClaims, store: redis.Redis, event_id: str) -> None:
    finish(claims, store)
    erase(claims, store, event_id)


@pytest.mark.parametrize("close", [finish, discard, erase, erase_later])
def test_a_closed_event_is_a_duplicate_at_every_moment(
    close: Callable[..., None], accept: Accept, claims_of: Clerks, log: EventLog, store: redis.Redis
) -> None:
    event_id = accept()

    close(claims_of(), store, event_id=event_id)
    assert store.hexists(KEYS.known_ids(event_id[-4:]), packed_id(event_id))
    store.delete(KEYS.event(event_id))  # it has expired
    accept(id=event_id)

    assert not store.exists(KEYS.event(event_id))
    assert log.known_since(event_id)


@pytest.mark.parametrize("given", ["", "x" * 36, "-" * 36, "0" * 36, "8f2d6a4e-1111-4c3b-9a55-0c7d5d1e2f300"])
def test_what_is_no_id_is_not_known(given: str, log: EventLog) -> None:
    assert log.known_since(given) is None


def test_an_event_with_several_handlers_is_known_once_the_last_has_finished(
    accept: Accept, run_worker: RunWorker, log: EventLog
) -> None:
    on("user.delete", name="one")(lambda event: None)
    on("user.delete", name="two", queue="other")(lambda event: None)
    event_id = accept()

    run_worker(turns=3)
    assert not log.known_since(event_id)
    run_worker(queue="other")

    assert log.known_since(event_id)


@pytest.mark.parametrize(
    ("fields", "is_known"),
    [
        ({"decision": "rejected"}, False),  # it may be submitted again
        ({"decision": "rejected", "committed": "1"}, True),
        ({"decision": "completed"}, True),
    ],
    ids=["refused", "refused and committed", "completed"],
)
def test_only_a_refused_transaction_is_forgotten_with_its_record(
    fields: dict[str, str], is_known: bool, accept: Accept, claims_of: Clerks, log: EventLog, store: redis.Redis
) -> None:
    event_id = accept()
    for field, value in fields.items():
        store.hset(KEYS.event(event_id), field, value)

    finish(claims_of(), store)

    assert bool(log.known_since(event_id)) is is_known


def test_hashes_stay_small_however_many_ids_share_their_last_characters(
    store: redis.Redis, accept: Accept, log: EventLog, forget: Callable[..., bool]
) -> None:
    ids = [f"{str(uuid4())[:-4]}abcd" for _ in range(1_000)]
    forget()
    remember(store, ids)
    remember(store, ids[:100])  # a second time changes nothing

    assert all(map(log.known_since, ids[::3]))
    assert not log.known_since(f"{str(uuid4())[:-4]}abcd")
    assert sum(store.hlen(key) for key in hashes(store)) == len(ids) + 1  # one was split
    assert {store.object("encoding", key) for key in hashes(store)} == {b"listpack"}
    assert not store.exists(KEYS.event(accept(id=ids[0])))

    let_days_pass(store, 32)
    assert not forget()
    assert hashes(store) == []


def test_ids_that_differ_in_few_characters_are_told_apart(store: redis.Redis, log: EventLog) -> None:
    ids = [str(UUID(int=number << 80)) for number in range(700)]

    remember(store, ids)

    assert all(map(log.known_since, ids))
    assert not log.known_since(str(UUID(int=700 << 80)))


def test_an_id_is_forgotten_after_its_retention_and_may_come_again(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings, log: EventLog
) -> None:
    retention = Retention(store, KEYS, settings)
    retention.tick()
    old, event_id = accept(), accept()
    finish(claims_of(), store)
    let_days_pass(store, 32)
    finish(claims_of(), store)
    store.delete(KEYS.event(old), KEYS.event(event_id))

    while log.known_since(old):  # a walk takes some ticks
        retention.tick()

    assert store.exists(KEYS.event(accept(id=old)))
    assert not store.exists(KEYS.event(accept(id=event_id)))


def test_a_walk_that_was_killed_goes_on_and_several_at_once_forget_nothing_young(
    store: redis.Redis, forget: Callable[..., bool], log: EventLog
) -> None:
    forget()
    old, young = ([str(uuid4()) for _ in range(200)] for _ in range(2))
    remember(store, old)
    let_days_pass(store, 32)
    remember(store, young)

    assert forget(ALL_HASHES // 4)
    assert 0 < sum(map(bool, map(log.known_since, old))) < len(old)
    walks = [threading.Thread(target=lambda: forget_all(forget)) for _ in range(3)]
    for walk in walks:
        walk.start()
    for walk in walks:
        walk.join()

    assert not any(map(log.known_since, old))
    assert all(map(log.known_since, young))
    assert not forget(1)  # the next walk is tomorrow


def forget_all(forget: Callable[..., bool]) -> None:
    while forget(IDS_A_CALL):
        pass
