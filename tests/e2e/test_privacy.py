"""P6: personal data stays in the event record.

Every payload meets every outcome of a handler, and then every stored or shown byte is searched.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from harness.events import a_body
from harness.stack import Stack, wait_until
from surehook.shared.job_id import JobId
from tests.support.pii_markers import MARK, MARKED_USER_ID, PUBLISHED, marked_events
from tests.support.store_dump import contents

HANDLERS = """
import json, threading, urllib.parse

class Email(str):
    pass

def strings(field):
    if isinstance(field, str): yield field
    for value in field.values() if isinstance(field, dict) else field if isinstance(field, list) else ():
        yield from strings(value)

def personal(event):
    parsed = json.loads(event.raw)["event"]
    plain = ("id", "type", "tenantId", "applicationId")
    return list(strings({name: value for name, value in parsed.items() if name not in plain}))

def noted(value):
    error = RuntimeError("noted")
    error.add_note(f"it was {value}")
    return error

def throw(value):
    raise ValueError(value)

@on("*", name="works")
def works(event): effect("works")

@on("*", name="fails", retries=1, backoff=[0])
def fails(event, attempt):
    values = personal(event)
    if attempt.number == 2:
        effect("fails")
        few = values[:4] + values[-4:]
        raise ExceptionGroup(f"of {values[0]}", [
            *(KeyError(value) for value in few), *(ValueError(Email(value)) for value in few),
            *(LookupError(value.encode(), [value]) for value in few), *(noted(value) for value in few),
            ExceptionGroup("inner", [OSError(2, urllib.parse.quote(values[0]), values[-1])]),
        ])
    try:
        {}[values[0]]
    except KeyError as exc:
        whole = json.loads(event.raw)
        raise ValueError(f"{values} {event!r} {event.raw!r} {event.raw} {whole} {json.dumps(whole)}") from exc

@on("user.delete", name="throws")
def throws(event):
    thread = threading.Thread(target=throw, args=(personal(event)[0],))
    thread.start()
    thread.join()
    effect("throws")

@on("user.update", name="slow", retries=0, timeout=0.3)
def slow(event):
    try:
        for _ in range(100): time.sleep(0.05)
    except BaseException as exc:
        effect("slow")  # here, because its timeout may come before it has done anything
        raise TimeoutError(event.raw) from exc

@on("user.reactivate", name="dies")
def dies(event, attempt):
    effect("dies")
    if attempt.number == 1: os.kill(os.getpid(), signal.SIGKILL)
"""
OF_ONE_TYPE = {"user.delete": ["throws"], "user.update": ["slow"], "user.reactivate": ["dies", "dies"]}
PARTS = (MARK, MARKED_USER_ID)
DASHBOARD_LISTS = ("queued", "failed", "finished", "started", "scheduled", "deferred", "canceled")


def expected_effects(events: list[dict[str, Any]]) -> Counter[str]:
    more = (effect for event in events for effect in OF_ONE_TYPE.get(event["type"], []))
    return Counter([*(["works", "fails"] * len(events)), *more])


def assert_clean(place: str, text: str) -> None:
    for part in PARTS:
        at = text.lower().find(part.lower())
        assert at < 0, f"{place}: {text[max(0, at - 300) : at + 100]}"


def stored_outside_records(store: redis.Redis) -> Iterator[tuple[str, str]]:
    for key in store.scan_iter():
        if not key.startswith(b"surehook:event:"):
            yield key.decode(), contents(store, key).decode("utf-8", "replace")


def dashboard_pages(url: str, client: httpx.Client, failed: list[str]) -> Iterator[tuple[str, str]]:
    paths = ["data/queues.json", "data/workers.json", "view/queues", "view/workers", "view/jobs"]
    paths += [f"data/jobs/events/{name}/1000/asc/1.json" for name in DASHBOARD_LISTS]
    paths += [f"{kind}/job/{job_id}{end}" for job_id in failed for kind, end in (("data", ".json"), ("view", ""))]
    for path in paths:
        answer = client.get(f"{url}/rq/0/{path}", follow_redirects=True)
        assert answer.is_success, path
        yield path, answer.text


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    stack = build_stack(HANDLERS)
    stack.start_worker(
        "--processes", "2", "--threads", "1", SUREHOOK_LOG_LEVEL="DEBUG"
    )  # a dying process interrupts no other run
    stack.surehook("dashboard", SUREHOOK_LOG_LEVEL="DEBUG")
    stack.start_ingest(SUREHOOK_LOG_LEVEL="DEBUG")
    return stack


@pytest.mark.timeout(240)  # all types, and tracebacks to mask: 25 s on a machine at rest
def test_no_mark_of_any_event_is_found_outside_its_record(stack: Stack) -> None:
    events = marked_events()
    assert len(events) > 64 or not PUBLISHED.exists()
    refused = [b'{"event": {"type": "' + MARK.encode() + b'@"}}', b'{"event": "' + MARK.encode(), a_body({"id": MARK})]

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(stack.deliver, events * 2))
    answers += [stack.deliver(body=body) for body in refused]
    assert {answer.status_code for answer in answers} == {202, 200, 400}
    # A process that dies may take with it results that the store does not know yet: their handlers run again.
    wait_until(lambda: expected_effects(events) <= Counter(stack.effects()), "every handler ended", seconds=120)
    with stack.redis() as store:
        slow = sum(event["type"] == "user.update" for event in events)
        wait_until(lambda: store.zcard("rq:failed:events") == len(events) + slow, "all dead letters are there")
        stored = dict(stored_outside_records(store))
        failed = [job_id.decode() for job_id in store.zrange("rq:failed:events", 0, -1)]
        kept = [contents(store, key) for key in store.scan_iter("surehook:event:*")]
    url = f"http://127.0.0.1:{stack.dashboard_port}"
    wait_until(lambda: answers_at_all(stack.client, url), "the dashboard is there")
    pages = dict(dashboard_pages(url, stack.client, failed[::8]))
    shown = [stack.run("dead-letters", "list"), stack.run("dead-letters", "show", JobId.parse(failed[0]).event_id)]
    metrics = [
        stack.client.get(f"http://127.0.0.1:{port}/metrics").text
        for port in (stack.metrics_port, stack.worker_metrics_port)
    ]

    assert all(MARK.encode() in record for record in kept)  # so that there is something to find
    assert any("ExceptionGroup: of *** (" in text for text in pages.values())
    assert any("TimeoutError" in text or "HandlerTimeout" in text for text in stored.values())
    assert "uncaught exception in thread" in stack.logged()
    assert "the process died" in str(stored)
    assert_clean("log", stack.logged())
    assert_clean("store's log", (stack.data / "store.log").read_text("utf-8", "replace"))
    for name, text in (*stored.items(), *pages.items()):
        assert_clean(name, text)
    for text in (*metrics, *(answer.text for answer in answers), *(ran.stdout + ran.stderr for ran in shown)):
        assert_clean("shown", text)
    assert json.loads(answers[-1].text)["errors"][0]["code"] == "[malformed]"


def answers_at_all(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False
