"""P6 for a handler's message: the answer to a transaction and its stored copy hold no personal data."""

import json
from collections.abc import Callable

from harness.stack import Stack, wait_until
from tests.e2e.test_privacy import assert_clean, stored_outside_records
from tests.support.pii_markers import MARK, marked_events
from tests.support.store_dump import contents

REFUSING_HANDLERS = """
import json
from surehook import Reject

def personal(event):
    parsed = json.loads(event.raw)["event"]
    return [value for value in parsed["user"].values() if isinstance(value, str)]

def undo(event):
    effect("undo")
    raise ValueError(f"{personal(event)} {event!r}")

@on("user.create", name="reserves", transactional=True, on_abandoned=undo, retries=0)
def reserves(event): pass

@on("user.create", name="refuses", transactional=True)
def refuses(event):
    effect("refuse")
    raise Reject(f"no: {personal(event)} {event.raw!r} {event!r}")

@on("user.update", name="throws", transactional=True)
def throws(event):
    effect("throw")
    raise ValueError(f"{personal(event)} {event!r}")
"""
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create,user.update", "SUREHOOK_LOG_LEVEL": "DEBUG"}


def test_no_mark_of_any_event_is_in_an_answer_or_in_what_is_kept_of_it(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(REFUSING_HANDLERS)
    stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)
    with stack.redis() as store:
        wait_until(lambda: store.zcard("surehook:alive:queue:transactional") > 0, "a worker lives")
    events = [event for event in marked_events() if event["type"] in ("user.create", "user.update")]
    assert {event["type"] for event in events} == {"user.create", "user.update"}

    answers = [stack.deliver(event) for event in events]

    assert [answer.status_code for answer in answers] == [
        422 if event["type"] == "user.create" else 500 for event in events
    ]
    created = sum(event["type"] == "user.create" for event in events)
    wait_until(lambda: stack.effects().count("undo") == created, "what was reserved is undone")
    with stack.redis() as store:
        wait_until(lambda: store.zcard("rq:failed:events") == created, "the undoing is a dead letter")
        stored = dict(stored_outside_records(store))
        records = [store.hgetall(key) for key in store.scan_iter("surehook:event:*")]
        bodies = [contents(store, key) for key in store.scan_iter("surehook:event:*")]
    shown = [
        stack.run("events", "list", "--state", "rejected"),
        stack.run("events", "list", "--state", "failed"),
        stack.run("dead-letters", "list"),
    ]
    assert all(MARK.encode() in body for body in bodies)  # so that there is something to find
    words = [json.loads(answer.text)["exception"] for answer in answers]
    assert sum(each.startswith("[rejected] no: [") and "***" in each for each in words) == created
    for answer in answers:
        assert_clean("answer", answer.text)
    for record in records:
        assert_clean("reason", record.get(b"reason", b"").decode())
    for name, text in stored.items():
        assert_clean(name, text)
    for port in (stack.metrics_port, stack.worker_metrics_port):
        assert_clean("metrics", stack.client.get(f"http://127.0.0.1:{port}/metrics").text)
    for ran in shown:
        assert_clean("shown", ran.stdout + ran.stderr)
    assert_clean("log", stack.logged())
