"""`async` handlers share one event loop, which none of them can stop."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

import pytest

from surehook import Event, on
from surehook.workers.execution.event_loop import EventLoop
from surehook.workers.execution.timeouts import Timeout
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


def test_a_run_that_is_cancelled_before_its_first_step_has_failed_and_its_thread_goes_on() -> None:
    loop, has_begun, is_over = EventLoop(), threading.Event(), threading.Event()

    async def cancel_others() -> None:
        has_begun.set()
        while not is_over.is_set():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

    def call(function: Callable[[], Awaitable[None]]) -> BaseException | None:
        return loop.call(Timeout(), function, time.monotonic() + 30, Context())

    began: list[str] = []

    async def begin() -> None:
        began.append("began")

    with ThreadPoolExecutor(1) as pool:
        canceller = pool.submit(call, cancel_others)
        try:
            assert has_begun.wait(20)
            errors = [call(begin) for _ in range(20)]
        finally:
            is_over.set()
        assert canceller.result() is None
    loop.close()

    assert len(began) < len(errors)
    assert errors.count(None) == len(began)
    assert all(error is None or isinstance(error, asyncio.CancelledError) for error in errors)


def test_every_run_that_threads_start_at_the_same_time_ends() -> None:
    loop = EventLoop()
    ran: list[int] = []

    def call(number: int) -> BaseException | None:
        async def run() -> None:
            ran.append(number)

        return loop.call(Timeout(), run, time.monotonic() + 30, Context())

    with ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(call, range(8_000)))
    loop.close()

    assert errors == [None] * 8_000
    assert sorted(ran) == list(range(8_000))


def test_a_run_that_is_added_just_after_the_loop_has_looked_starts() -> None:
    loop, has_run = EventLoop(), threading.Event()

    async def first() -> None: ...

    async def second() -> None:
        has_run.set()

    def start(function: Callable[[], Awaitable[None]]) -> None:
        loop.start(Timeout(), function, time.monotonic() + 30, Context(), lambda _: None)

    class Starting(deque[Any]):
        def __bool__(self) -> bool:
            is_there = len(self) > 0
            if not is_there and later:
                start(later.pop())
            return is_there

    later = [second]
    loop._starting = Starting()  # noqa: SLF001 - the second run must come between two of the loop's steps

    start(first)

    assert has_run.wait(20)
    loop.close()
