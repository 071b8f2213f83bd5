"""rq-dashboard in a real browser: a dead letter is seen, read and requeued."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.scripts import texts

HANDLERS = """
@on("user.delete", name="fails_until_mended", retries=0)
def fails_until_mended(event):
    effect("ran")
    if not os.path.exists("mended"): raise ValueError("the todo service is down")
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code in {200, 401}
    except httpx.TransportError:
        return False


def start_dashboard(stack: Stack, **environ: str) -> str:
    stack.surehook("dashboard", **environ)
    url = f"http://127.0.0.1:{stack.dashboard_port}"
    wait_until(lambda: answers(url), "the dashboard answers")
    return url


@pytest.mark.browser
def test_a_dead_letter_is_read_and_requeued_in_the_browser(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    url = start_dashboard(stack)
    event = an_event()
    stack.deliver(event)
    wait_until(lambda: "dead letter" in stack.logged())

    page.goto(f"{url}/rq/0/view/jobs/events/failed/8/asc/1")
    page.get_by_text(event["id"]).first.click()
    expect(page.locator(".exc_info")).to_contain_text("ValueError: the todo service is down")
    expect(page.locator(".exc_info")).to_contain_text("in fails_until_mended")
    expect(page.locator("#job-data")).to_contain_text(f"user.delete {event['id'][:8]}…")
    assert page.get_by_text(re.compile("^Delete$")).count() == 0
    (stack.folder / "mended").touch()
    page.get_by_role("button", name="Requeue").click()

    wait_until(lambda: stack.effects() == ["ran", "ran"], "the handler ran again")
    wait_until(lambda: stack.open_events() == 0)


@pytest.mark.browser
def test_all_dead_letters_are_requeued_in_the_browser(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    url = start_dashboard(stack)
    for _ in range(3):
        stack.deliver()
    wait_until(lambda: stack.logged().count("dead letter") == 3)
    with stack.redis() as store:
        store.delete("rq:job:" + texts(store.zrange("rq:failed:events", 0, 0))[0])  # a job that has just been deleted
    (stack.folder / "mended").touch()

    page.goto(f"{url}/rq/0/view/jobs/events/failed/8/asc/1")
    page.locator("#requeue-all-btn").click()
    page.get_by_role("button", name="Yes").click()

    wait_until(lambda: stack.open_events() == 0, "all have run, the one whose job was gone too")
    assert stack.effects() == ["ran"] * 6


@pytest.mark.browser
def test_a_page_of_another_site_requeues_nothing(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    url = start_dashboard(stack)
    stack.deliver()
    wait_until(lambda: "dead letter" in stack.logged())

    page.set_content(f'<form method="post" action="{url}/rq/requeue/events"><button>Win</button></form>')
    with page.expect_response("**/rq/requeue/events") as answer:
        page.get_by_role("button", name="Win").click()

    assert answer.value.status == 403
    assert stack.effects() == ["ran"]


@pytest.mark.browser
def test_queues_and_workers_are_shown(build_stack: Callable[..., Stack], page: Page) -> None:
    stack = build_stack(HANDLERS)
    stack.start_worker()
    wait_until(stack.worker_pids)
    url = start_dashboard(stack)

    page.goto(f"{url}/rq/0/view/workers")

    expect(page.locator("#workers")).to_contain_text("events")


def test_beyond_loopback_the_dashboard_wants_a_login(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()

    refused = stack.run("dashboard", SUREHOOK_DASHBOARD_BIND="0.0.0.0:0")
    url = start_dashboard(stack, SUREHOOK_DASHBOARD_LOGIN="operator:a-password")

    assert refused.returncode == 2
    assert "SUREHOOK_DASHBOARD_LOGIN" in refused.stderr
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("operator", "another")).status_code == 401
    assert httpx.get(url, auth=("operator", "a-password")).status_code == 200


def test_a_second_dashboard_says_why_it_does_not_start_and_the_first_ends_in_order(
    build_stack: Callable[..., Stack],
) -> None:
    stack = build_stack()
    start_dashboard(stack)

    second = stack.run("dashboard")
    stack.processes[-1].terminate()

    assert second.returncode == 2
    assert f"SUREHOOK_DASHBOARD_BIND=127.0.0.1:{stack.dashboard_port}: Address already in use" in second.stderr
    assert stack.processes[-1].wait(20) == 0


def test_the_dashboard_deletes_nothing(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    url = start_dashboard(stack)
    event = an_event()
    stack.deliver(event)
    wait_until(lambda: "dead letter" in stack.logged())

    httpx.post(f"{url}/rq/job/{event['id']}/delete")
    httpx.post(f"{url}/rq/queue/events/failed/empty")

    with stack.redis() as store:
        assert store.zcard("rq:failed:events") == 1
        assert store.exists(f"rq:job:{event['id']}")
