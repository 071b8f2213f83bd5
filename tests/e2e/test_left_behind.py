"""A process whose runs have left work behind is replaced before later runs suffer."""

from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]


def test_blocking_calls_that_outlive_their_runs_do_not_starve_later_async_handlers(build_stack: Build) -> None:
    stack = build_stack("""
import asyncio
@on("user.delete", name="blocks", timeout=1, retries=0)
async def blocks(event): await asyncio.to_thread(time.sleep, 300)

@on("user.create", name="later", timeout=2, retries=0)
async def later(event): effect(await asyncio.to_thread(os.getpid))
""")
    stack.start_ingest()
    stack.start_worker()
    wait_until(stack.worker_pids)
    (pid,) = stack.worker_pids()
    for _ in range(8):
        stack.deliver()
    wait_until(lambda: "work_left_behind" in stack.logged(), "the process is replaced")

    stack.deliver(an_event("user.create"))

    wait_until(stack.effects, "it runs")
    assert stack.effects() != [str(pid)]
    assert stack.logged().count("worker process recycled") == 1


def test_a_task_that_blocks_the_event_loop_does_not_hold_up_later_async_handlers(build_stack: Build) -> None:
    stack = build_stack("""
import asyncio
tasks = []
async def block():
    await asyncio.sleep(0.1)
    effect("blocks")
    time.sleep(300)

@on("user.delete", name="leaves", retries=0)
async def leaves(event): tasks.append(asyncio.create_task(block()))

@on("user.create", name="later", timeout=1, backoff=[0])
async def later(event): effect("later")
""")
    stack.start_ingest()
    stack.start_worker()
    wait_until(stack.worker_pids)
    stack.deliver()
    wait_until(lambda: stack.effects() == ["blocks"], "the loop is blocked")

    stack.deliver(an_event("user.create"))

    wait_until(lambda: stack.effects() == ["blocks", "later"], "it runs again, in another process")
    assert stack.logged().count("worker process killed, handler does not stop") == 1
