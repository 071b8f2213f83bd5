"""Our pages in a real browser: nothing hostile runs, the script helps, and none is needed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.minutes import Minutes
from tests.e2e.test_dashboard import start_dashboard
from tests.support.hostile import SPOILED

pytestmark = pytest.mark.browser

KEYS = Keys()
HANDLERS = """
@on("user.delete", name="quotes", retries=0)
def quotes(event):
    if not os.path.exists("mended"): raise ValueError("the todo service is down for " + event.user.first_name)
    effect("ran")
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    start_dashboard(stack)
    yield stack
    stack.close()


@pytest.fixture
def url(stack: Stack) -> str:
    """The dashboard, with two dead letters."""
    with stack.redis() as store:
        store.flushall()
    (stack.folder / "mended").unlink(missing_ok=True)
    stack.effects_file.write_text("")
    for _ in range(2):
        event = an_event("user.delete")
        event["user"]["firstName"] = SPOILED
        stack.deliver(event)
    with stack.redis() as store:
        wait_until(lambda: store.zcard("rq:failed:events") == 2, "both are dead letters")
    return f"http://127.0.0.1:{stack.dashboard_port}"


def spoil(stack: Stack) -> list[str]:
    """Puts the payload into every field of the store that a page shows; returns the events' ids."""
    with stack.redis() as store:
        ids = [text.decode() for text in store.zrange("rq:failed:events", 0, -1)]
        event_id, other = ids
        attempt = {
            "handler": SPOILED, "number": 1, "at": "2026-11-28T10:00:00+00:00", "elapsed_ms": 1, "outcome": SPOILED,
            "error": SPOILED,
        }  # fmt: skip
        store.rpush(KEYS.attempts(event_id), json.dumps(attempt))
        fields: dict[Any, Any] = dict.fromkeys(("type", "tenant", "user", "application", "source", "handlers"), SPOILED)
        store.hset(KEYS.event(event_id), mapping=fields)
        store.hset(KEYS.event(other), mapping={"type": SPOILED, "reason": SPOILED, "user": SPOILED})
        store.zadd(KEYS.orphans, {other: 1_700_000_000_000})
        store.sadd(KEYS.queues, SPOILED, f"events.{SPOILED}")
        store.sadd("rq:queues", f"rq:queue:{SPOILED}")
        store.sadd(KEYS.paused, SPOILED)
        store.zadd(f"rq:failed:{SPOILED}", {event_id: 1})
        announced = {
            "types": [SPOILED], "queue": SPOILED, "retries": 1, "timeout": 1, "transactional": False,
            "limits": [SPOILED], "announced_at": 0,
        }  # fmt: skip
        name = SPOILED.replace(":", "")
        store.hset(KEYS.handlers, name, json.dumps(announced))
        Minutes(store, KEYS).write([(int(store.time()[0]) // 60, f"r:{name}:failed", 3)])
    return ids


def test_nothing_that_is_stored_runs_on_any_page(stack: Stack, url: str, page: Page) -> None:
    ids = spoil(stack)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    paths = ["/", "/events", f"/events/{ids[0]}", f"/events/{ids[1]}", "/dead-letters", "/queues", "/handlers",
             "/transactions", "/ledger", "/ledger?check=yes", "/actions", "/audit", "/doctor"]  # fmt: skip

    for path in paths:
        page.goto(url + path)
        assert page.evaluate("window.ran") is None, path
        assert page.locator("img, main svg:not(.chart)").count() == 0, path
        assert page.locator("h1").inner_text() != "This cannot be shown", path
        assert complaints == [], path
    page.goto(f"{url}/events/{ids[0]}")
    page.get_by_role("button", name="Show the body").click()
    expect(page.get_by_role("heading", name="Body")).to_be_visible()
    assert page.evaluate("window.ran") is None
    page.goto(f"{url}/dead-letters")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Replay selected").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Replay")
    assert page.evaluate("window.ran") is None
    assert complaints == []


def test_the_policy_stops_what_escaping_would_let_through(url: str, page: Page) -> None:
    page.goto(url)
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))

    page.evaluate(
        """html => { document.body.insertAdjacentHTML("beforeend", html) }""",
        "<img src=none onerror='window.ran=1'><iframe srcdoc='<script>parent.ran=1</script>'></iframe>"
        "<form id=out action='https://evil.example'></form><style>body{color:red}</style>",
    )
    with page.expect_console_message(lambda message: "form-action" in message.text):
        page.evaluate("setTimeout(() => document.getElementById('out').submit(), 1)")

    assert page.evaluate("window.ran") is None
    assert page.url.startswith(url)
    assert any("style-src" in text for text in blocked)


def test_dead_letters_are_seen_selected_and_replayed_with_the_keyboard(stack: Stack, url: str, page: Page) -> None:
    (stack.folder / "mended").touch()
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_have_text("All 2 events are done or waiting; 2 need you.")

    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page).to_have_url(f"{url}/dead-letters")
    page.wait_for_load_state()
    for key in ("k", "x", "k", "x"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Replay selected (2)").press("Enter")
    page.get_by_role("button", name="Replay 2 dead letters").press("Enter")

    expect(page.get_by_role("status").filter(has_text="replayed")).to_have_text("2 dead letters replayed.")
    wait_until(lambda: stack.effects() == ["ran", "ran"], "both have run again")
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_have_text("All 2 events are done or waiting.")


def test_keys_find_open_and_explain(url: str, page: Page) -> None:
    page.goto(f"{url}/events")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.title")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/events/{focused}")
    page.wait_for_load_state()  # an address changes before the page's script runs
    page.keyboard.press("/")
    page.keyboard.type("state:dead g d ?")
    assert page.evaluate("document.activeElement.id") == "find"
    page.locator("#find").fill(focused[:8])
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/events/{focused}")


def test_a_refresh_shows_what_is_new_and_keeps_focus_and_selection(stack: Stack, url: str, page: Page) -> None:
    page.goto(f"{url}/dead-letters")
    page.locator("#letters tbody input").first.check()
    page.locator("#letters tbody .id").nth(1).focus()
    focused = page.evaluate("document.activeElement.title")

    stack.deliver(an_event("user.delete"))

    expect(page.locator("#letters tbody tr")).to_have_count(3)
    assert page.evaluate("document.activeElement.title") == focused
    expect(page.locator("#letters tbody input:checked")).to_have_count(1)
    expect(page.get_by_role("button", name="Replay selected (1)")).to_be_visible()


def test_a_hidden_tab_asks_for_nothing(url: str, page: Page) -> None:
    page.clock.install()
    page.goto(url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.resource_type))
    hide = "value => { Object.defineProperty(document, 'hidden', {value, configurable: true}); "
    hide += "document.dispatchEvent(new Event('visibilitychange')) }"

    page.evaluate(hide, True)
    page.clock.run_for(60_000)
    assert "fetch" not in asked
    with page.expect_response(f"{url}/"):
        page.evaluate(hide, False)
    with page.expect_response(f"{url}/"):
        page.clock.run_for(6_000)


def test_a_page_that_cannot_be_refreshed_says_so(stack: Stack, url: str, page: Page) -> None:
    page.clock.install()
    page.goto(url)
    page.route(url + "/", lambda route: route.fulfill(status=503))

    page.clock.run_for(6_000)

    expect(page.locator("#refreshed")).to_contain_text("Not refreshed")
    expect(page.get_by_role("heading", level=1)).to_contain_text("All 2 events")


def test_without_javascript_on_a_phone_everything_works(url: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 700})
    page = context.new_page()

    names = "Events, Dead letters, Bulk actions, Queues, Handlers, Transactions, Ledger, Audit, Doctor"
    for name in names.split(", "):
        page.goto(url)
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        page.wait_for_load_state()  # a click does not wait for the stylesheet
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360, name
    page.goto(f"{url}/dead-letters")
    page.get_by_label("Select user.delete").first.check()
    page.get_by_role("button", name="Discard selected").click()
    page.get_by_label("Reason").fill("the user is gone")
    page.get_by_role("button", name=re.compile("Discard 1")).click()
    expect(page.get_by_role("status").filter(has_text="discarded")).to_have_text("1 dead letter discarded.")
    page.goto(f"{url}/dead-letters")
    page.get_by_role("button", name="Replay the group").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Replay 1 dead letter?")
    page.get_by_role("button", name="Replay 1").click()
    expect(page.locator("main .status")).to_have_text(re.compile("running|done|interrupted"))
    context.close()


@pytest.mark.parametrize("width", [360, 800])
def test_long_names_do_not_make_an_event_scroll_sideways(width: int, stack: Stack, url: str, page: Page) -> None:
    name = "synchronise_every_registration_" * 5
    with stack.redis() as store:
        event_id = store.zrange("rq:failed:events", 0, 0)[0].decode()[:36]
        attempt = json.loads(store.lindex(KEYS.attempts(event_id), -1)) | {"handler": name, "error": "x" * 300}
        store.rpush(KEYS.attempts(event_id), json.dumps(attempt))
        store.hset(KEYS.event(event_id), mapping={"handlers": name, f"state:{name}": "failed"})
    page.set_viewport_size({"width": width, "height": 700})

    page.goto(f"{url}/events/{event_id}")

    expect(page.get_by_text(name).first).to_be_visible()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.goto(f"{url}/dead-letters")
    button = page.get_by_role("button", name="Replay the group").first.bounding_box()
    assert button
    assert button["height"] < 40, "its word is in one line"
