"""Tables of handlers and transactions can be read at the width of a phone, a tablet and a desk."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from harness.events import USER_ID, an_event
from harness.stack import Stack
from surehook.shared.keys import Keys
from surehook.shared.minutes import MinuteCounts, Minutes
from tests.e2e.test_dashboard import start_dashboard

pytestmark = pytest.mark.browser

KEYS = Keys()
WIDTHS = pytest.mark.parametrize("width", [360, 800, 1400])
NAMES = ("myhooks_delete_todos", "myhooks_start_the_welcome_series_of_mails_for_new_registrations")
REASON = "Only addresses of example.com and of the partners in the handbook may register here. " * 2
# How many lines each text has that stands between two places where it may be broken.
LINES = """(cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), lines = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!node.textContent.trim()) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        lines.push(new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size);
    }
    return lines;
}"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A dashboard with two handlers, and with a transaction of each kind."""
    stack = Stack()
    counts = MinuteCounts()
    for name in NAMES:
        for outcome, seconds in (("done", 12.3), ("failed", 0.04), ("failed", 700.0)):
            counts.add(name, outcome, seconds)
    with stack.redis() as store:
        announced: dict[str, Any] = {
            "types": ["user.registration.create.complete"], "queue": "events", "retries": 8, "timeout": 30.0,
            "limits": ["ordered_by=user", "changed=email", "concurrency=3"], "announced_at": time.time(),
        }  # fmt: skip
        for name in NAMES:
            store.hset(KEYS.handlers, name, json.dumps(announced | {"transactional": name == NAMES[0]}))
        Minutes(store, KEYS).write(counts.take())
        for key in (KEYS.orphans, KEYS.decided("rejected"), KEYS.decided("failed")):
            event_id = an_event()["id"]
            reason = REASON if key == KEYS.decided("rejected") else ""
            fields = {"type": "user.registration.create.complete", "user": USER_ID, "reason": reason}
            store.hset(KEYS.event(event_id), mapping=fields)
            store.zadd(key, {event_id: (time.time() - 3_500) * 1000})
    yield start_dashboard(stack)
    stack.close()


def most_lines(page: Page, selector: str) -> int:
    cells = page.locator(selector)
    expect(cells.first).to_be_visible()
    return max(max(cell.evaluate(LINES), default=0) for cell in cells.all())


@WIDTHS
def test_a_number_and_its_unit_are_in_one_line(width: int, url: str, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{url}/handlers")

    assert most_lines(page, "td.number") == 1
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


@WIDTHS
def test_a_handlers_name_has_more_room_than_its_chart(width: int, url: str, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{url}/handlers")

    name = page.locator("td:first-child").first.bounding_box()
    chart = page.locator("td .chart").first.bounding_box() or {"width": 0}  # none on a phone
    assert name
    assert name["width"] > chart["width"]


@WIDTHS
@pytest.mark.parametrize("state", ["orphaned", "rejected", "failed"])
def test_a_type_is_broken_at_its_dots_alone(state: str, width: int, url: str, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{url}/transactions?state={state}")

    assert most_lines(page, "td:nth-child(2)") == 1
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_reasons_are_a_column_only_where_there_are_any(url: str, page: Page) -> None:
    for state, count in (("orphaned", 0), ("rejected", 1), ("failed", 0)):
        page.goto(f"{url}/transactions?state={state}")
        expect(page.get_by_role("columnheader", name="Event")).to_have_count(1)
        expect(page.get_by_role("columnheader", name="Reason")).to_have_count(count)


def test_only_failures_that_may_be_dead_letters_lead_to_dead_letters(url: str, page: Page) -> None:
    page.goto(f"{url}/handlers")

    expect(page.get_by_role("row", name=NAMES[0]).get_by_role("link", name="2", exact=True)).to_have_count(0)
    expect(page.get_by_role("row", name=NAMES[1]).get_by_role("link", name="2", exact=True)).to_have_count(1)
