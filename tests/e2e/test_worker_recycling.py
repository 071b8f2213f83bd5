"""Worker processes that are recycled after seconds, by jobs or memory, and the jobs of other processes."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

import httpx
import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]
EVERY_SECONDS = 0.3


@pytest.mark.chaos
def test_jobs_of_a_dead_worker_come_back_even_if_the_other_worker_recycles_often(build_stack: Build) -> None:
    stack = build_stack("""
@on("user.create", name="long", timeout=100)
def long(event, attempt):
    effect("began", attempt.number)
    while attempt.number == 1: time.sleep(1)

@on("user.delete", name="short")
def short(event): effect("short", os.getpid())
""")
    stack.start_ingest()
    doomed = stack.start_worker()
    stack.deliver(an_event("user.create"))
    wait_until(stack.effects, "it holds one")
    held_by = stack.worker_pids()
    is_over = threading.Event()

    def deliver() -> None:
        while not is_over.wait(EVERY_SECONDS):
            stack.deliver()

    flow = threading.Thread(target=deliver)
    flow.start()
    try:
        stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off", SUREHOOK_RECYCLE_JOBS="6")
        wait_until(lambda: stack.logged().count("worker process recycled") >= 4, "several have come and gone")
        doomed.kill()
        for pid in held_by:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "began 2" in stack.effects(), "it runs again")
    finally:
        is_over.set()
        flow.join()

    assert stack.logged().count("worker process recycled") >= 6


def test_a_process_that_has_grown_past_its_bound_is_replaced_and_a_smaller_one_is_not(build_stack: Build) -> None:
    stack = build_stack("""
KEPT = []

@on("user.delete", name="small")
def small(event): effect("small", os.getpid())

@on("user.create", name="large")
def large(event):
    effect("large", os.getpid())
    KEPT.append(b"x" * 300 * 1024 * 1024)
""")
    stack.start_ingest()
    stack.start_worker(SUREHOOK_RECYCLE_MIB="300")
    for _ in range(20):
        stack.deliver()
    wait_until(lambda: stack.open_events() == 0)
    assert "worker process recycled" not in stack.logged()

    (grown,) = stack.worker_pids()
    stack.deliver(an_event("user.create"))
    wait_until(lambda: stack.worker_pids() not in ([], [grown]) and grown not in stack.worker_pids(), "it is replaced")
    stack.deliver()
    wait_until(lambda: len(stack.effects()) == 22 and stack.open_events() == 0)

    pids = [line.split()[1] for line in stack.effects()]
    assert pids[:21] == [str(grown)] * 21
    assert pids[21] != str(grown)
    assert stack.logged().count("worker process recycled") == 1
    assert "worker process died" not in stack.logged()


def test_a_handlers_own_metrics_are_served_and_outlive_its_process(build_stack: Build) -> None:
    stack = build_stack("""
from prometheus_client import Counter
SYNCED = Counter("myapp_synced_users", "Users copied", ["plan"])

@on("user.delete", name="copy")
def copy(event):
    SYNCED.labels("gold").inc()
    effect("copied", os.getpid())
""")
    metrics_url = f"http://127.0.0.1:{stack.worker_metrics_port}/metrics"
    stack.start_ingest()
    stack.start_worker(SUREHOOK_RECYCLE_JOBS="3")

    def recycled() -> bool:
        stack.deliver()
        return len({line.split()[1] for line in stack.effects()}) > 1

    def synced() -> bool:
        total = f'myapp_synced_users_total{{plan="gold"}} {len(stack.effects())}.0'
        with contextlib.suppress(httpx.TransportError):  # the worker may not have opened the address yet
            return stack.open_events() == 0 and total in stack.client.get(metrics_url).text
        return False

    wait_until(recycled, "a second process runs handlers")
    wait_until(synced, "every run is counted, those of the recycled process too")
