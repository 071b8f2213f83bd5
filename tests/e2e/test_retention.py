"""Closed events in stages: the body goes, then the record, and the id stays known."""

from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys

KEYS = Keys()
HANDLED = """
@on("*", name="record")
def record(event): effect(event.id)
"""


def test_a_duplicate_is_recognised_when_body_and_record_are_gone(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLED)
    stack.environ |= {"SUREHOOK_BODY_RETENTION": "1", "SUREHOOK_RETENTION": "6"}  # bodies go every two seconds
    stack.start_worker()
    stack.start_ingest()
    event = an_event()
    record = KEYS.event(event["id"])
    with stack.redis() as store:
        wait_until(lambda: store.exists(KEYS.body_retention), "the worker drops bodies")
        assert stack.deliver(event).status_code == 202
        wait_until(stack.effects, "it is handled")

        wait_until(lambda: not store.hexists(record, "body"), "the body goes")
        assert store.hget(record, "type") == event["type"].encode()
        wait_until(lambda: not store.exists(record), "the record goes")

    assert stack.deliver(event).status_code == 200
    assert stack.effects() == [event["id"]]
