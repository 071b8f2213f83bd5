"""Searches among a million closed events: the time of a page of a hundred, and of a count."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import click
import redis

from bench import figures
from bench.machine import empty
from harness.stack import Stack
from surehook.admin.events import EventFilter
from surehook.admin.search import EventSearch
from surehook.shared import event_index as row
from surehook.shared.encryption import BodyCipher
from surehook.shared.index_key import IndexKey
from surehook.shared.index_summary import summary_of
from surehook.shared.keys import Keys

EVENTS = 1_000_000
KEYS = Keys()
TYPES = ["user.login.success"] * 90 + ["user.update"] * 9 + ["user.delete"]
OUTCOMES = ["done"] * 98 + ["unhandled"] + ["discarded"]
USERS = 100_000
RARE_TYPE, RARE_AT = "user.bulk.create", 12_345
FIRST_MS = 1_760_000_000_000
GAP_MS = 50
TIMES = 5
MOST_SECONDS = 0.3


def run(stack: Stack) -> None:
    """Measure and print."""
    count = int(os.environ.get("BENCH_EVENTS", EVENTS))
    with stack.redis() as store:
        empty(store)
        before = int(store.info("memory")["used_memory"])
        _fill_rows(store, count)
        each = (int(store.info("memory")["used_memory"]) - before) / count
        _fill_records(store, count)
        search = EventSearch(store, KEYS, BodyCipher())
        slowest = _report(search, count)
        empty(store)
    click.echo(f"\na row: {each:.1f} bytes; the slowest page: {slowest:.3f} s, to be at most {MOST_SECONDS}")
    if slowest > MOST_SECONDS:
        raise SystemExit("a page takes too long")


def _report(search: EventSearch, count: int) -> float:
    end = _instant(FIRST_MS + count * GAP_MS)
    middle = search.page(EventFilter(), limit=1).events[0].received_at - (end - _instant(FIRST_MS)) / 2
    filters = {
        "none": EventFilter(),
        "the middle of the time": EventFilter(since=middle, until=middle + timedelta(hours=1)),
        "type, one event in a hundred": EventFilter(event_type="user.delete"),
        "type, one event of all": EventFilter(event_type=RARE_TYPE),
        "type, no event": EventFilter(event_type="group.create"),
        "user": EventFilter(user_id=_user(4711)),
        "e-mail": EventFilter(email="user4711@example.com"),
        "state": EventFilter(states=("discarded",)),
        "type, user and state": EventFilter(event_type="user.update", user_id=_user(9), states=("done",)),
    }
    table: list[tuple[str, ...]] = [("filter", "a page, ms", "a count, ms", "found")]
    slowest = 0.0
    for name, wanted in filters.items():
        page_seconds = _seconds(lambda wanted=wanted: search.page(wanted))  # type: ignore[misc]
        count_seconds = _seconds(lambda wanted=wanted: search.count(wanted))  # type: ignore[misc]
        slowest = max(slowest, page_seconds)
        number, is_more = search.count(wanted)
        found = f"{number:,}{' and more' if is_more else ''}"
        table.append((name, f"{page_seconds * 1000:.0f}", f"{count_seconds * 1000:.0f}", found))
    click.echo(f"index: searches among {count:,} closed events, median of {TIMES}\n")
    click.echo(figures.table(table))
    return slowest


def _seconds(act: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return median(took)


def _fill_rows(store: redis.Redis, count: int) -> None:
    key = IndexKey(store, KEYS, BodyCipher()).read()
    for segment in range(0, count, row.ROWS_A_SEGMENT):
        numbers = range(segment, min(count, segment + row.ROWS_A_SEGMENT))
        rows = b"".join(_row(number, key) for number in numbers)
        store.set(KEYS.index(segment // row.ROWS_A_SEGMENT), rows)
        if segment + row.ROWS_A_SEGMENT < count:  # as the workers do for each but the newest
            store.set(KEYS.index_summary(segment // row.ROWS_A_SEGMENT), summary_of(rows))
        store.zadd(KEYS.index_segments, {str(segment // row.ROWS_A_SEGMENT): FIRST_MS + segment * GAP_MS})


def _row(number: int, key: bytes) -> bytes:
    words = row.word_hashes(_type(number), "", "", "nothing")
    email = row.email_hash(key, f"user{number % USERS}@example.com")
    facts = row.pack_facts(words, _user(number % USERS), email, FIRST_MS + number * GAP_MS)
    outcome = row.OUTCOMES.index(OUTCOMES[number % 100]) + 1
    return number.to_bytes(16, "big") + facts + bytes([outcome])


def _fill_records(store: redis.Redis, count: int) -> None:
    """Records without bodies: a search compares with them what it finds."""
    for start in range(0, count, 10_000):
        pipeline = store.pipeline(transaction=False)
        for number in range(start, min(count, start + 10_000)):
            digits = f"{number:032x}"
            event_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            received_at = FIRST_MS + number * GAP_MS
            fields: dict[Any, Any] = {
                "type": _type(number),
                "user": _user(number % USERS),
                "received_at": received_at,
                "row": number,
            }
            fields |= {"closed_at": received_at, "outcome": OUTCOMES[number % 100]}
            pipeline.hset(KEYS.event(event_id), mapping=fields)
        pipeline.execute()


def _type(number: int) -> str:
    return RARE_TYPE if number == RARE_AT else TYPES[number % 100]


def _user(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _instant(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
