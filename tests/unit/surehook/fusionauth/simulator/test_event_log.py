"""The simulated event log searches as FusionAuth's does."""

import json
from typing import Any

import pytest

from surehook.fusionauth.simulator.event_log import DAY_MS, HOUR_MS, EventLog, search_from_json
from surehook.fusionauth.simulator.quirks import Version
from tests.support.simulated_fusionauth import NOW, an_event


def a_log(instants: list[int], version: str = "1.69.0", **more: Any) -> EventLog:
    log = EventLog(version=Version(version), **more)
    for number, instant in enumerate(instants, 1):
        body = {"event": an_event(number)}
        entry = log.add(body, json.dumps(body).encode(), now_ms=instant)
        log.finish(entry, is_success=number % 2 == 1, now_ms=instant)
    return log


def found(log: EventLog, version: str = "1.69.0", **criteria: Any) -> list[int]:
    search = search_from_json(criteria, now_ms=NOW, version=Version(version))
    return [row["sequence"] for row in log.search(search)["webhookEventLogs"]]


def test_without_a_window_only_the_last_hour_is_searched_since_1_57() -> None:
    instants = [NOW - 2 * HOUR_MS, NOW - HOUR_MS // 2, NOW]

    assert found(a_log(instants)) == [3, 2]
    assert found(a_log(instants), start=NOW - 3 * HOUR_MS) == [3, 2, 1]
    assert found(a_log(instants, "1.56.0"), "1.56.0") == [3, 2, 1]


def test_one_end_of_the_window_leaves_the_others_default() -> None:
    instants = [NOW - 2 * HOUR_MS, NOW - HOUR_MS // 2]

    assert found(a_log(instants), end=NOW - HOUR_MS // 4) == [2]


def test_the_window_contains_its_start_and_not_its_end() -> None:
    log = a_log([NOW - 20, NOW - 10, NOW])

    assert found(log, start=NOW - 20, end=NOW) == [2, 1]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", [3, 2, 1]),
        ("sequence ASC", [1, 2, 3]),
        ("eventResult DESC, sequence ASC", [1, 3, 2]),
        ("nothing ASC", [3, 2, 1]),
        ("sequence SIDEWAYS", [3, 2, 1]),
        ("sequence asc", [1, 2, 3]),
    ],
)
def test_rows_are_ordered_as_asked_and_an_odd_order_is_dropped(order: str, expected: list[int]) -> None:
    assert found(a_log([NOW - 20, NOW - 10, NOW]), orderBy=order) == expected


def test_pages_run_short_in_the_versions_that_had_this_fault() -> None:
    old = a_log([NOW] * 4, "1.55.0", page_limit=lambda asked: asked - 1)
    new = a_log([NOW] * 4, page_limit=lambda asked: asked - 1)
    asked: dict[str, Any] = {"start": 1, "end": NOW + 1, "orderBy": "sequence ASC", "numberOfResults": 2}

    assert found(old, "1.55.0", **asked) == [1]
    assert found(new, **asked) == [1, 2]
    assert found(new, **asked, startRow=3) == [4]


@pytest.mark.parametrize(
    ("pattern", "expected"), [("U2@X", [2]), ("*u2@*", [2]), ("u2@*", []), ("user.create", [3, 2, 1]), ("%", [])]
)
def test_the_text_of_an_event_is_searched_in_lower_case(pattern: str, expected: list[int]) -> None:
    assert found(a_log([NOW - 2, NOW - 1, NOW]), event=pattern) == expected


def test_results_and_types_filter() -> None:
    log = a_log([NOW] * 3)

    assert found(log, eventResult="Failed") == [2]
    assert found(log, eventType="user.delete") == []


def test_the_retention_deletes_what_is_older() -> None:
    log = a_log([NOW - 31 * DAY_MS, NOW - 29 * DAY_MS])

    assert log.delete_older_than(30, now_ms=NOW) == 1
    assert found(log, start=1) == [2]
