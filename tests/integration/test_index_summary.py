"""Searches leave out segments of the index that have no row for them, and never one that has."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from surehook.admin.event_records import EventFilter
from surehook.admin.search import EventSearch
from surehook.shared.encryption import BodyCipher
from surehook.shared.event_index import INSTANT_BYTES, RECEIVED
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import Accept
from tests.integration.test_known_ids import finish
from tests.support.claiming import SingleClaims

KEYS = Keys()
SEGMENTS = 6
FIRST_MS = 1_760_000_000_000
EMAIL = "user3@example.com"


@pytest.fixture
def search(store: redis.Redis) -> EventSearch:
    return EventSearch(store, KEYS, BodyCipher())


@pytest.fixture
def upkeep(store: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> IndexUpkeep:
    monkeypatch.setattr("surehook.workers.maintenance.event_index.LEAST_ROWS", 1)
    return IndexUpkeep(store, KEYS, settings)


@pytest.fixture
def event_ids(accept: Accept, claims_of: Callable[..., SingleClaims], store: redis.Redis) -> list[str]:
    """Closed events of different users, each in a segment of its own. The rows lack the addresses."""
    closed = []
    for number in range(SEGMENTS):
        closed.append(accept("user.create", user={"id": user(number), "email": f"user{number}@example.com"}))
        finish(claims_of(), store)
        store.hset(KEYS.index_state, "until", 0)
    return closed


def user(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def found_by(search: EventSearch, wanted: EventFilter) -> list[str]:
    assert search.count(wanted)[0] == len(search.page(wanted).events)
    return [event.event_id for event in search.page(wanted).events]


def reads(store: redis.Redis, act: Callable[[], Any]) -> int:
    """The number of segments that a search reads."""
    store.config_resetstat()
    act()
    stats: Any = store.info("commandstats")
    return int(stats.get("cmdstat_get", {"calls": 0})["calls"])


@pytest.mark.parametrize("last", [0, 3, SEGMENTS - 1])
def test_only_segments_that_may_have_the_value_are_read(
    last: int, event_ids: list[str], search: EventSearch, upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    wanted = EventFilter(user_id=user(last))
    assert reads(store, lambda: search.page(wanted)) == SEGMENTS

    upkeep.summarize()

    assert found_by(search, wanted) == [event_ids[last]]
    assert reads(store, lambda: search.page(wanted)) <= 2  # the newest has no summary yet


def test_a_page_of_an_older_time_leaves_the_newer_segments_out(
    event_ids: list[str], search: EventSearch, upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    instants = []
    for number, event_id in enumerate(event_ids):
        received_ms = FIRST_MS + 60_000 * number
        instants.append(datetime.fromtimestamp(received_ms / 1000, UTC))
        store.hset(KEYS.event(event_id), "received_at", received_ms)
        store.setrange(KEYS.index(number), RECEIVED, received_ms.to_bytes(INSTANT_BYTES, "big"))
    upkeep.summarize()

    for last, instant in enumerate(instants):
        wanted = EventFilter(until=instant)
        assert found_by(search, wanted) == event_ids[last::-1]
        assert reads(store, lambda wanted=wanted: search.page(wanted)) <= last + 2  # type: ignore[misc]


def test_an_address_that_a_row_gets_later_is_found(
    event_ids: list[str], search: EventSearch, upkeep: IndexUpkeep
) -> None:
    upkeep.summarize()
    assert found_by(search, EventFilter(email=EMAIL)) == []

    while upkeep.finish_rows():
        pass

    assert found_by(search, EventFilter(email=EMAIL)) == [event_ids[3]]
    upkeep.summarize()
    assert found_by(search, EventFilter(email=EMAIL)) == [event_ids[3]]


def test_a_summary_of_rows_that_have_changed_is_not_kept(
    event_ids: list[str], search: EventSearch, upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    upkeep.summarize()
    stale: Any = store.get(KEYS.index_summary(3))
    store.set(KEYS.index_summary(3), "mine")  # a worker reads the rows now
    while upkeep.finish_rows():
        pass

    assert Script("index_summary", KEYS).run(store, 3, "mine", stale) == 0
    assert found_by(search, EventFilter(email=EMAIL)) == [event_ids[3]]


def test_erasing_an_event_removes_what_the_summary_says_of_its_user(
    event_ids: list[str], upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    upkeep.summarize()
    before: Any = store.get(KEYS.index_summary(3))

    Script("erase", KEYS).run(store, event_ids[3], "", 3600)

    assert not store.exists(KEYS.index_summary(3))
    upkeep.summarize()
    assert store.get(KEYS.index_summary(3)) != before


def test_a_summary_lives_as_long_as_its_segment_and_a_check_makes_one_that_is_missing(
    event_ids: list[str], upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    for _ in range(SEGMENTS):
        upkeep.check_segment()

    for segment in range(SEGMENTS - 1):
        assert abs(store.ttl(KEYS.index_summary(segment)) - store.ttl(KEYS.index(segment))) <= 1
    assert not store.exists(KEYS.index_summary(SEGMENTS - 1))


def test_a_segment_that_begins_anew_after_the_state_was_lost_has_no_summary(
    event_ids: list[str],
    accept: Accept,
    claims_of: Callable[..., SingleClaims],
    search: EventSearch,
    upkeep: IndexUpkeep,
    store: redis.Redis,
) -> None:
    upkeep.summarize()
    store.delete(KEYS.index_state)
    later = accept("user.delete", user={"id": user(77)})
    finish(claims_of(), store)

    assert found_by(search, EventFilter(user_id=user(77))) == [later]
