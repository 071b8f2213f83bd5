"""Finding events: filters, pages, ids, addresses, and an index that stays true."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import USER_ID
from surehook.admin.cursors import BadCursor
from surehook.admin.emails import EmailsUnreadable
from surehook.admin.events import EventFilter, EventLog, EventRecord
from surehook.admin.failure_groups import FailureGroups
from surehook.admin.search import EventSearch
from surehook.shared.encryption import BodyCipher
from surehook.shared.event_index import ROW_BYTES
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import Accept
from tests.integration.test_known_ids import finish
from tests.support.claiming import SingleClaims
from tests.support.command import Surehook
from tests.support.dead_letters import die, groups, surehook

__all__ = ["die", "groups", "surehook"]  # fixtures

KEYS = Keys()
Clerks = Callable[..., SingleClaims]


@pytest.fixture
def search(store: redis.Redis) -> EventSearch:
    return EventSearch(store, KEYS, BodyCipher())


@pytest.fixture
def upkeep(store: redis.Redis, settings: Settings) -> IndexUpkeep:
    return IndexUpkeep(store, KEYS, settings)


@pytest.fixture
def closed(accept: Accept, claims_of: Clerks, store: redis.Redis) -> Callable[..., str]:
    def close(*arguments: Any, **fields: Any) -> str:
        event_id = accept(*arguments, **fields)
        finish(claims_of(), store)
        return event_id

    return close


def ids(events: Sequence[EventRecord]) -> list[str]:
    return [event.event_id for event in events]


def test_pages_lead_from_the_newest_to_the_oldest_and_show_each_event_once(
    accept: Accept, closed: Callable[..., str], search: EventSearch
) -> None:
    accepted = [closed() if number % 3 else accept("user.create") for number in range(9)]
    found: list[EventRecord] = []
    cursor = ""
    while True:
        page = search.page(EventFilter(), limit=2, cursor=cursor)
        found += page.events
        cursor = page.next_cursor
        if not cursor:
            break

    assert sorted(ids(found)) == sorted(accepted)
    instants = [(event.received_at, event.event_id) for event in found]
    assert instants == sorted(instants, reverse=True)
    assert list(search.each(EventFilter())) == found
    assert search.count(EventFilter()) == (9, False)
    assert search.count(EventFilter(), at_most=4) == (4, True)


@pytest.mark.parametrize("cursor", ["x", "%%%", "ÄÖ", "AAAA", "A" * 200])
def test_a_forged_cursor_is_refused(cursor: str, search: EventSearch) -> None:
    with pytest.raises(BadCursor):
        search.page(EventFilter(), cursor=cursor)


def test_the_beginning_of_an_id_finds_open_and_closed_events(
    accept: Accept, closed: Callable[..., str], search: EventSearch
) -> None:
    start = "abcdef12-3456-4789-8"
    event_ids = [f"{start}{rest}00-00000000000{number}" for number, rest in enumerate(("1", "1", "2"))]
    closed(id=event_ids[0])
    accept(id=event_ids[1])
    accept(id=event_ids[2])
    accept()

    for length in (1, 7, 8, 9, 20):
        assert set(event_ids) <= set(ids(search.beginning_with(start[:length])))
    assert set(ids(search.beginning_with(f"{start}1"))) == set(event_ids[:2])
    assert ids(search.beginning_with(event_ids[0].upper())) == event_ids[:1]
    for nothing in ("", "g", "-", "a" * 40, start.replace("-", "")):
        assert search.beginning_with(nothing) == []
    assert len(search.beginning_with(start, at_most=2)) == 2


def test_events_are_found_by_email_whether_they_are_open_or_closed(
    accept: Accept, closed: Callable[..., str], search: EventSearch, upkeep: IndexUpkeep
) -> None:
    user = {"id": USER_ID, "email": "Ada@Example.com"}
    wanted = {closed(user=user), accept(user=user)}
    closed(user={"id": USER_ID, "email": "other@example.com"})
    while upkeep.finish_rows():
        pass

    assert set(ids(search.page(EventFilter(email="ada@EXAMPLE.com")).events)) == wanted
    assert search.count(EventFilter(email="ada@example.com")) == (2, False)
    assert search.page(EventFilter(email="nobody@example.com")).events == ()


def test_nothing_readable_of_an_address_is_kept_and_erasing_removes_its_hash(
    closed: Callable[..., str], search: EventSearch, upkeep: IndexUpkeep, store: redis.Redis
) -> None:
    event_id = closed(user={"id": USER_ID, "email": "ada@example.com"})
    upkeep.finish_rows()
    (key,) = store.scan_iter(KEYS.index("*"))
    before: Any = store.get(key)
    assert b"ada" not in before
    assert USER_ID.encode() not in before

    Script("erase", KEYS).run(store, event_id, USER_ID, 3600)

    assert store.get(key) == bytes(len(before))
    assert search.page(EventFilter(email="ada@example.com")).events == ()


def test_the_key_for_addresses_is_encrypted_if_bodies_are(store: redis.Redis) -> None:
    first, second = (SecretStr(Fernet.generate_key().decode()) for _ in range(2))
    key = IndexKey(store, KEYS, BodyCipher((first,))).read()

    assert key not in (store.get(KEYS.index_key) or b"")
    with pytest.raises(EmailsUnreadable, match="SUREHOOK_ENCRYPTION_KEYS"):
        EventSearch(store, KEYS, BodyCipher()).page(EventFilter(email="ada@example.com"))
    rotated = IndexKey(store, KEYS, BodyCipher((second, first)))
    rotated.reencrypt()
    assert rotated.is_current()
    assert IndexKey(store, KEYS, BodyCipher((second,))).read() == key


def test_a_replayed_event_is_listed_once(
    closed: Callable[..., str], search: EventSearch, store: redis.Redis, claims_of: Clerks
) -> None:
    event_id = closed()
    assert EventLog(store, KEYS, handler_timeout=30).replay(event_id)

    assert [event.state for event in search.page(EventFilter()).events] == ["waiting"]

    finish(claims_of(), store)
    assert [event.state for event in search.page(EventFilter()).events] == ["done"]
    (key,) = store.scan_iter(KEYS.index("*"))
    assert store.strlen(key) == 2 * ROW_BYTES


@pytest.mark.parametrize("damage", ["rows lost", "record unaware", "row of another", "row of an open event"])
def test_an_index_that_lies_is_mended(
    damage: str,
    accept: Accept,
    closed: Callable[..., str],
    search: EventSearch,
    upkeep: IndexUpkeep,
    store: redis.Redis,
) -> None:
    event_id = closed(user={"id": USER_ID, "email": "ada@example.com"})
    match damage:
        case "rows lost":
            store.delete(*store.scan_iter(KEYS.index("*")), KEYS.index_state, KEYS.index_segments)
        case "record unaware":
            store.hdel(KEYS.event(event_id), "row")
        case "row of another":
            store.setrange(KEYS.index(0), 0, uuid4().bytes)
        case "row of an open event":
            other = closed()
            row = store.hget(KEYS.event(other), "row")
            store.hdel(KEYS.event(other), "closed_at", "outcome")
            store.hset(KEYS.event(other), "row", row)
            store.zadd(KEYS.open, {other: 2})

    while upkeep.walk() is not None:
        pass
    upkeep.check_segment()

    assert ids(search.page(EventFilter(states=("done",))).events) == [event_id]
    assert search.count(EventFilter(states=("done",))) == (1, False)
    assert ids(search.page(EventFilter(email="ada@example.com")).events) == [event_id]


def test_a_segment_expires_after_its_last_record(
    closed: Callable[..., str], accept: Accept, store: redis.Redis, upkeep: IndexUpkeep
) -> None:
    first = closed()
    segment = KEYS.index(0)
    assert store.ttl(segment) >= store.ttl(KEYS.event(first)) + 3600 // 24

    for retention, longest in ((7200, 7200), (60, 7200)):  # the setting was changed, and changed back
        accept()
        claims = SingleClaims(store, KEYS, "events", "one", retention_seconds=retention, handler_timeout=30)
        claim = claims.claim()
        assert claim
        claims.finish(claim, "done", None)
        assert store.ttl(segment) >= longest

    store.delete(segment)
    closed()
    assert store.ttl(segment) == -1
    upkeep.check_segment()
    assert store.ttl(segment) > 0


def test_by_group_finds_the_events_that_are_dead_letters_in_it(
    die: Callable[..., str], closed: Callable[..., str], search: EventSearch, groups: FailureGroups, surehook: Surehook
) -> None:
    mine = [die(error="ValueError: no plan") for _ in range(3)]
    die(error="OSError: away")
    closed()
    group_id = next(group.group_id for group in groups.read() if group.count == 3)
    wanted = EventFilter(group_id=group_id)

    first = search.page(wanted, limit=2)
    second = search.page(wanted, limit=2, cursor=first.next_cursor)

    assert ids([*first.events, *second.events]) == mine[::-1]
    assert (search.count(wanted), search.count(wanted, at_most=2)) == ((3, False), (2, True))
    assert search.count(EventFilter(group_id=group_id, event_type="user.create")) == (0, False)
    assert search.page(EventFilter(group_id=group_id, states=("done",))).events == ()
    status, shown = surehook("events", "list", "--group", group_id[:5], "--json")
    assert (status, sorted(json.loads(each)["event_id"] for each in shown.splitlines() if each.startswith("{"))) == (
        0,
        sorted(mine),
    )
    assert surehook("events", "list", "--group", "fffffffff")[0] == 3
