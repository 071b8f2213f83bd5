"""Worker processes that live for seconds only, and what another worker held that is gone altogether."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from tests.support.events import an_event
from tests.support.house import House, wait_until

Build = Callable[..., House]
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
