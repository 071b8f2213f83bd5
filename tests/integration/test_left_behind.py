"""Work that a run leaves behind is noticed once the run is over; work that ends by itself is not."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from harness.stack import wait_until
from surehook import Event, on
from surehook.shared.models import event_from
from surehook.workers.execution.runner import Runner, RunStatus
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Handler
from tests.support.run_context import TestContext

TIMEOUT_SECONDS = 0.3
LATER_SECONDS = 60.0
IN_TIME_SECONDS = 30.0
released = threading.Event()
is_at_work = threading.Event()


def occupy() -> None:
    is_at_work.set()
    released.wait(60)


async def blocking_call(event: Event) -> None:
    await asyncio.to_thread(occupy)


async def blocking_call_that_is_not_awaited(event: Event) -> None:
    asyncio.get_running_loop().run_in_executor(None, occupy)


async def waiting_task(event: Event) -> None:
    tasks.append(asyncio.create_task(asyncio.sleep(600)))
    is_at_work.set()
    await asyncio.sleep(600)


async def task_that_does_not_stop(event: Event) -> None:
    async def stubborn() -> None:
        is_at_work.set()
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    tasks.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(600)


def thread(event: Event) -> None:
    threading.Thread(target=occupy).start()
    while True:
        time.sleep(0.01)


def plain(event: Event) -> None:
    is_at_work.set()
    while True:
        time.sleep(0.01)


async def waiting(event: Event) -> None:
    is_at_work.set()
    await asyncio.sleep(600)


tasks: list[asyncio.Task[Any]] = []
Run = Callable[..., RunStatus]


@pytest.fixture
def context() -> Iterator[TestContext]:
    """With a watchdog, which is not a thread of the run."""
    context = TestContext()
    watchdog = Watchdog([context.timeout], lambda _: None, lambda: None)
    watchdog.start()
    yield context
    watchdog.stop()
    watchdog.join()


@pytest.fixture
def runner(context: TestContext) -> Iterator[Runner]:
    released.clear()
    is_at_work.clear()
    runner = Runner(30)
    runner.has_left_work(time.monotonic())  # the first tick, at the process's start
    yield runner
    released.set()
    wait_until(lambda: all(task.done() for task in tasks))
    tasks.clear()
    runner.close()


@pytest.fixture
def run(runner: Runner, context: TestContext) -> Run:
    def run(function: Callable[..., Any], timeout: float = TIMEOUT_SECONDS) -> RunStatus:
        on("user.delete", name=function.__name__, timeout=timeout)(function)
        handler: Handler = registry_module.declared[-1]
        return runner.run(handler, event_from(str(uuid4()), b'{"event": {"type": "user.delete"}}'), 1, context).status

    return run


def cut_off_at_work(run: Run, handler: Any) -> None:
    """Runs it until its timeout; again if that came before it was at work, as on a busy machine."""

    def is_cut_off_at_work() -> bool:
        assert run(handler) is RunStatus.TIMED_OUT
        return is_at_work.is_set()

    wait_until(is_cut_off_at_work, "it is cut off at work")


def is_noticed(runner: Runner) -> bool:
    return runner.has_left_work(time.monotonic() + LATER_SECONDS)


@pytest.mark.parametrize("handler", [blocking_call, task_that_does_not_stop, thread])
def test_work_of_a_run_that_was_cut_off_is_noticed(handler: Any, run: Run, runner: Runner) -> None:
    cut_off_at_work(run, handler)
    assert not runner.has_left_work(time.monotonic()), "it may still end"

    assert is_noticed(runner)


@pytest.mark.parametrize("handler", [plain, waiting, waiting_task])
def test_a_run_that_stops_leaves_nothing(handler: Any, run: Run, runner: Runner) -> None:
    cut_off_at_work(run, handler)
    wait_until(lambda: all(task.done() for task in tasks), "its tasks were cancelled")

    assert not is_noticed(runner)


def test_work_of_runs_that_ended_in_time_is_noticed_when_no_thread_is_left(run: Run, runner: Runner) -> None:
    assert run(blocking_call_that_is_not_awaited, IN_TIME_SECONDS) is RunStatus.DONE
    assert not is_noticed(runner)

    for _ in range(40):
        assert run(blocking_call_that_is_not_awaited, IN_TIME_SECONDS) is RunStatus.DONE

    assert is_noticed(runner)
    released.set()
    wait_until(lambda: not is_noticed(runner), "the threads are free")


def test_threads_of_the_executor_are_not_taken_for_a_runs_own(run: Run, runner: Runner) -> None:
    async def quick_call(event: Event) -> None:
        await asyncio.to_thread(time.sleep, 0)
        is_at_work.set()
        await asyncio.sleep(600)

    cut_off_at_work(run, quick_call)

    assert not is_noticed(runner)
