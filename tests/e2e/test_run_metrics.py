"""The metrics of runs as Prometheus reads them: workers count in batches, and no run is missing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
from prometheus_client.parser import text_string_to_metric_families

from harness.events import an_event
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]
DONE, FAILED, ANSWERED = 60, 7, 9
HANDLERS = """
from surehook import Reject

@on("user.delete", name="copy")
def copy(event): time.sleep(0.006)

@on("user.update", name="fail", retries=0)
def fail(event): raise ValueError

@on("user.deactivate", name="first", transactional=True)
@on("user.create", name="answer", transactional=True)
def answer(event): raise Reject("no")
"""


def samples(stack: Stack) -> dict[tuple[str, ...], float]:
    """The samples of the worker's metrics page by name and sorted label values."""
    try:
        page = stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/metrics").text
    except httpx.TransportError:  # the worker may not have opened the address yet
        return {}
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {(sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value for sample in found}


def test_every_run_is_in_the_metrics_with_its_duration_and_its_events_wait(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    listed = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create,user.deactivate"}
    stack.start_ingest(**listed)
    stack.start_worker(**listed)
    wait_until(lambda: stack.deliver(an_event("user.deactivate")).status_code == 422, "the worker runs handlers")

    def runs(handler: str, outcome: str, event_type: str) -> float:
        return samples(stack).get(("surehook_attempts_total", handler, outcome, event_type), 0.0)

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda _: stack.deliver(an_event("user.delete")), range(DONE)))
        list(senders.map(lambda _: stack.deliver(an_event("user.update")), range(FAILED)))
        answers = list(senders.map(lambda _: stack.deliver(an_event("user.create")), range(ANSWERED)))

    assert [answer.status_code for answer in answers] == [422] * ANSWERED
    wait_until(lambda: runs("copy", "done", "user.delete") == DONE, "the runs are counted")
    wait_until(lambda: runs("fail", "dead letter", "user.update") == FAILED, "failures are counted")
    wait_until(lambda: runs("answer", "rejected", "user.create") == ANSWERED, "refusals are counted")
    found = samples(stack)
    assert found["surehook_handler_seconds_count", "copy"] == DONE
    assert found["surehook_handler_seconds_bucket", "copy", "0.005"] == 0.0
    assert found["surehook_handler_seconds_bucket", "copy", "+Inf"] == DONE
    assert found["surehook_handler_seconds_sum", "copy"] >= 0.006 * DONE
    assert found["surehook_handler_seconds_count", "fail"] == FAILED
    assert found["surehook_wait_seconds_count",] == DONE + FAILED
