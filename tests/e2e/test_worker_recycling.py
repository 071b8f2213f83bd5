"""Worker processes that are replaced after seconds: by jobs or memory, and what that means for what others held."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]
EVERY_SECONDS = 0.3


@pytest.mark.chaos
def test_what_a_dead_worker_held_comes_back_though_no_process_of_the_other_lives_for_long(build_house: Build) -> None:
    house = build_house("""
@on("user.create", name="long", timeout=100)
def long(event, attempt):
    effect("began", attempt.number)
    while attempt.number == 1: time.sleep(1)

@on("user.delete", name="short")
def short(event): effect("short", os.getpid())
""")
    house.start_ingest()
    doomed = house.start_worker()
    house.deliver(an_event("user.create"))
    wait_until(house.effects, "it holds one")
    held_by = house.worker_pids()
    is_over = threading.Event()

    def deliver() -> None:
        while not is_over.wait(EVERY_SECONDS):
            house.deliver()

    flow = threading.Thread(target=deliver)
    flow.start()
    try:
        house.start_worker(SUREHOOK_WORKER_METRICS_BIND="off", SUREHOOK_RECYCLE_JOBS="6")
        wait_until(lambda: house.logged().count("makes room") >= 4, "several have come and gone")
        doomed.kill()
        for pid in held_by:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "began 2" in house.effects(), "it runs again")
    finally:
        is_over.set()
        flow.join()

    assert house.logged().count("makes room") >= 6


def test_a_process_that_has_grown_past_its_bound_is_replaced_and_a_smaller_one_is_not(build_house: Build) -> None:
    house = build_house("""
KEPT = []

@on("user.delete", name="small")
def small(event): effect("small", os.getpid())

@on("user.create", name="large")
def large(event):
    effect("large", os.getpid())
    KEPT.append(b"x" * 300 * 1024 * 1024)
""")
    house.start_ingest()
    house.start_worker(SUREHOOK_RECYCLE_MIB="300")
    for _ in range(20):
        house.deliver()
    wait_until(lambda: house.open_events() == 0)
    assert "makes room" not in house.logged()

    house.deliver(an_event("user.create"))
    (grown,) = house.worker_pids()
    wait_until(lambda: house.worker_pids() not in ([], [grown]) and grown not in house.worker_pids(), "it is replaced")
    house.deliver()
    wait_until(lambda: len(house.effects()) == 22 and house.open_events() == 0)

    pids = [line.split()[1] for line in house.effects()]
    assert pids[:21] == [str(grown)] * 21
    assert pids[21] != str(grown)
    assert house.logged().count("makes room") == 1
    assert "worker process died" not in house.logged()
