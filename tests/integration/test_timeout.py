"""Timeouts, with handlers that do not want to stop."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from surehook import Event, on
from tests.integration.conftest import Accept, Counts


def wait_in_slices() -> None:
    """Waits in short steps, like a driver with timeouts: an exception from another thread arrives between two steps."""
    for _ in range(600):
        threading.Event().wait(0.05)


def swallow_everything(event: Event) -> None:
    with contextlib.suppress(Exception):
        wait_in_slices()


def compute(event: Event) -> None:
    while True:
        pass


async def wait(event: Event) -> None:
    await asyncio.sleep(30)


async def block_the_loop(event: Event) -> None:
    wait_in_slices()


def turn_it_into_another(event: Event) -> None:
    try:
        wait_in_slices()
    except BaseException:  # noqa: BLE001 - what this handler does wrong
        raise OSError from None


def swallow_even_that(event: Event) -> None:
    with contextlib.suppress(BaseException):
        wait_in_slices()


@pytest.mark.parametrize(
    "handler", [swallow_everything, compute, wait, block_the_loop, turn_it_into_another, swallow_even_that]
)
def test_a_timeout_holds(handler: Any, accept: Accept, run_worker: Any, counts: Counts) -> None:
    on("user.delete", name="it", timeout=0.2)(handler)

    accept()
    run_worker()

    assert counts.runs == [("it", "timed out")]


def test_after_a_timeout_the_next_async_handler_runs(accept: Accept, run_worker: Any, counts: Counts) -> None:
    on("user.delete", name="stuck", timeout=0.2)(block_the_loop)

    @on("user.create", name="quick")
    async def quick(event: Event) -> None:
        await asyncio.sleep(0)

    accept("user.delete")
    accept("user.create")
    run_worker(turns=2)

    assert counts.runs == [("stuck", "timed out"), ("quick", "done")]
