"""No value from the store becomes a script or an element of a dashboard's page, in a real browser."""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import redis
from playwright.sync_api import Page, expect

from harness.events import an_event
from harness.stack import Stack, wait_until
from tests.e2e.test_dashboard import start_dashboard

pytestmark = pytest.mark.browser

RUNS = "window.ran=1"
NOW = "2026-11-28T10:00:00.000000Z"
SPOILED = (
    f'"\'><img  src=none onerror="{RUNS}"><script>{RUNS}</script></script><svg onload={RUNS}>{{{{7*7}}}}<%={RUNS}%>'
)
IN_A_PATH = quote(SPOILED.replace("/", ""), safe="")
# Later, because what the test itself evaluates is exempt from the policy.
TRY_EVAL = """setTimeout(() => {
    try { new Function("return 1")(); window.caught = "nothing" } catch (error) { window.caught = error.name }
}, 1)"""
HANDLERS = """
@on("user.delete", name="quotes", retries=0)
def quotes(event):
    raise ValueError(" ".join(event.user.first_name.split()))
"""
PATHS = (
    "/",
    "/0/view/jobs/events/failed/100/asc/1",
    "/0/view/jobs/events/queued/100/asc/1",
    "/0/view/workers",
    "/0/view/job/spoiled",
    f"/0/view/jobs/{IN_A_PATH}/failed/8/asc/1",
    f"/0/view/jobs/{quote(chr(39) + '-(' + RUNS + ')-' + chr(39))}/queued/8/asc/1",
    f"/0/view/jobs/x%5C%22%3E{IN_A_PATH}/failed/8/dsc/1",
)


def spoil(store: redis.Redis) -> None:
    """Puts the payload into everything that a page shows."""
    job: dict[Any, Any] = {
        "data": b"{}", "created_at": NOW, "enqueued_at": NOW, "ended_at": NOW, "origin": "events", "status": "failed",
        "description": SPOILED, "meta": json.dumps({SPOILED: SPOILED}), "dependency_ids": json.dumps([SPOILED, "x"]),
    }  # fmt: skip
    for job_id in ("spoiled", SPOILED.replace(":", "")):
        store.hset(f"rq:job:{job_id}", mapping=job)
        store.zadd("rq:failed:events", {job_id: 1})
        store.rpush("rq:queue:events", job_id)
        error, result = b64encode(zlib.compress(SPOILED.encode())), b64encode(json.dumps({SPOILED: SPOILED}).encode())
        store.xadd(f"rq:results:{job_id}", {"type": 1, "exc_string": error, "return_value": result})
    store.sadd("rq:queues", f"rq:queue:{SPOILED}", "rq:queue:events")
    store.zadd(f"rq:failed:{SPOILED}", {"spoiled": 1})
    store.sadd("rq:workers", f"rq:worker:{SPOILED}")
    worker: dict[Any, Any] = {
        "queues": SPOILED,
        "state": SPOILED,
        "birth": NOW,
        "version": SPOILED,
        "python_version": SPOILED,
    }
    store.hset(f"rq:worker:{SPOILED}", mapping=worker)
    store.sadd(f"rq:worker:{SPOILED}:executions", "spoiled:run")
    store.hset("rq:execution:spoiled:run", mapping={"created_at": NOW, "last_heartbeat": NOW})


def test_nothing_from_the_store_runs(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    url = start_dashboard(stack)
    with stack.redis() as store:
        spoil(store)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    for path in PATHS:
        page.goto(f"{url}/rq{path}")
        expect(page.locator("body")).not_to_contain_text("Loading...")
        page.locator("#select-queue, h1, h2").first.click()
        page.mouse.move(0, 0)
        assert page.evaluate("window.ran") is None, path
        assert page.locator("img, svg").count() == 0, path
        # A policy that blocks the payload would complain: it must not have become an element at all.
        assert complaints == [], path
    page.goto(f"{url}/rq/0/view/job/spoiled")
    expect(page.locator("#job-data .exc_info")).to_have_text(SPOILED)
    expect(page.locator("#job-data .description-scroll")).to_have_text(SPOILED)


def test_a_handlers_error_that_quotes_a_name_does_not_run(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    url = start_dashboard(stack)
    event = an_event("user.delete")
    event["user"]["firstName"] = f"<img  src=x onerror={RUNS}>"
    stack.deliver(event)
    wait_until(lambda: "dead letter" in stack.logged())

    page.goto(f"{url}/rq/0/view/job/{event['id']}")

    expect(page.locator("#job-data .exc_info")).to_contain_text("in quotes")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_the_policy_stops_what_escaping_would_let_through(build_stack: Callable[..., Stack], page: Page) -> None:
    url = start_dashboard(build_stack())
    page.goto(f"{url}/rq/")

    for html in (
        f"<img src=none onerror={RUNS}>",
        f"<script>{RUNS}</script>",
        f'<iframe srcdoc="<script>parent.{RUNS}</script>"></iframe>',
    ):
        page.evaluate("html => { $('body').append(html); document.body.lastElementChild.outerHTML += html }", html)
    page.evaluate(TRY_EVAL)
    page.wait_for_function("document.images.length >= 2 && [...document.images].every(image => image.complete)")
    page.wait_for_function("window.caught")

    assert page.evaluate("window.ran") is None
    assert page.evaluate("window.caught") == "EvalError"
    page.goto("about:blank")
    page.set_content(f'<iframe src="{url}/"></iframe>')
    wait_until(lambda: page.frames[-1].url.startswith("chrome-error:"), "another page cannot frame it")


def test_lists_have_pages_and_refresh_themselves(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    url = start_dashboard(stack)
    for _ in range(10):
        stack.deliver()

    page.goto(f"{url}/rq/0/view/jobs/events/queued/8/asc/1")
    expect(page.locator("tr[data-role=job]")).to_have_count(8)
    page.locator("#page-selection").get_by_text("2", exact=True).click()
    expect(page.locator("tr[data-role=job]")).to_have_count(2)
    stack.deliver()
    expect(page.locator("tr[data-role=job]")).to_have_count(3)
    page.locator("#select-registry").select_option("failed")
    expect(page.locator("#jobs")).to_contain_text("No jobs.")
    page.goto(f"{url}/rq/")
    expect(page.locator("tr[data-role=queue]")).to_contain_text("11")


def test_a_refused_requeue_says_why(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack()
    url = start_dashboard(stack)
    with stack.redis() as store:
        store.sadd("rq:queues", "rq:queue:other")
        store.zadd("rq:failed:other", {"theirs": 1})
        job: dict[Any, Any] = {"data": b"{}", "created_at": NOW, "ended_at": NOW, "origin": "other", "status": "failed"}
        store.hset("rq:job:theirs", mapping=job)

    page.goto(f"{url}/rq/0/view/job/theirs")
    with page.expect_event("dialog") as shown:
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Requeue").click()

    assert "another application" in shown.value.message
