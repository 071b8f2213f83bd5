"""`async` handlers share one event loop, which none of them can stop."""

import asyncio
from typing import Any

import pytest

from surehook import Event, on
from tests.integration.conftest import Accept, Counts, RunWorker


async def exit_in_a_task(event: Event) -> None:
    async def leave() -> None:
        raise SystemExit

    task = asyncio.create_task(leave())
    await asyncio.wait([task])


async def stop_the_loop(event: Event) -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", [exit_in_a_task, stop_the_loop])
def test_a_handler_that_stops_the_event_loop_does_not_disturb_the_others(
    end: Any, accept: Accept, run_worker: RunWorker, counts: Counts
) -> None:
    on("user.delete", name="ends", timeout=5)(end)

    @on("user.create", name="it", timeout=5)
    async def it(event: Event) -> None:
        await asyncio.sleep(0)

    accept("user.delete")
    accept("user.create")

    run_worker(turns=2)

    assert counts.runs == [("ends", "done"), ("it", "done")]
