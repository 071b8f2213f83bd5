"""A handler that no timeout can interrupt counts as a timeout."""

import json
from collections.abc import Callable

import pytest

from harness.stack import Stack, wait_until

Build = Callable[..., Stack]


@pytest.mark.chaos
def test_a_call_that_blocks_in_c_is_one_timeout_with_its_stack(build_stack: Build) -> None:
    stack = build_stack("""
import ctypes
@on("*", name="stuck", timeout=1, retries=0)
def stuck(event):
    effect("began")
    ctypes.PyDLL(None).sleep(600)  # holds Python's lock: no thread of the process runs
""")
    stack.start_ingest()
    stack.start_worker()
    stack.deliver()

    with stack.redis() as store:
        wait_until(lambda: store.zcard("rq:failed:events") == 1, "it is a dead letter")
        job_id = store.zrange("rq:failed:events", 0, -1)[0].decode()
    shown = stack.run("dead-letters", "show", job_id).stdout

    assert stack.effects() == ["began"]
    assert "HandlerTimeout: ran longer than 1 s" in shown
    assert "ctypes.PyDLL(None).sleep(600)" in shown
    assert "surehook/workers" not in shown
    metrics_url = f"http://127.0.0.1:{stack.worker_metrics_port}/metrics"
    killed = 'surehook_killed_runs_total{handler="stuck"} 1.0'
    wait_until(lambda: killed in stack.client.get(metrics_url).text, "the kill is counted")
    logged = stack.logged()
    assert logged.count('"outcome": "dead letter"') == 1
    assert logged.count("worker process killed, handler does not stop") == 1
    assert "worker process died" not in logged
    assert "run interrupted" not in logged
    assert "most recent call first" not in logged

    def counted() -> tuple[int, int]:
        listed = json.loads(stack.run("handlers", "list", "--json").stdout)
        return listed["runs"], listed["failures"]

    wait_until(lambda: counted() == (1, 1), "the run is counted")


@pytest.mark.chaos
def test_a_handler_that_holds_pythons_lock_for_longer_than_a_lease_runs_once(build_stack: Build) -> None:
    stack = build_stack("""
import ctypes
@on("*", name="still", timeout=60)
def still(event, attempt):
    effect("began", attempt.number)
    ctypes.PyDLL(None).sleep(13)
    effect("ended", attempt.number)
""")
    stack.start_ingest()
    stack.deliver()  # before there is a worker: its process is still from the first moment on
    stack.start_worker()
    stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")

    wait_until(lambda: stack.open_events() == 0 and stack.effects())

    assert stack.effects() == ["began 1", "ended 1"]
