"""A worker process dies during a store outage: its supervisor remembers its jobs until the store is back."""

import os
import signal
from collections.abc import Callable

from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys

Build = Callable[..., Stack]
NEVER_MS = 2**50


def test_the_parent_gives_back_what_a_process_held_once_the_store_is_there_again(build_stack: Build) -> None:
    stack = build_stack("""
@on("*", name="it", timeout=60)
def it(event, attempt):
    effect("began", attempt.number)
    if attempt.number == 1: time.sleep(50)
""")
    stack.start_ingest()
    worker = stack.start_worker()
    stack.deliver()
    wait_until(stack.effects, "the handler began")
    (pid,) = stack.worker_pids()

    stack.kill_store()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "claims not given back" in stack.logged(), "its parent could not tell the store")
    stack.restart_store()
    with stack.redis() as store:
        # Keeps the sweeper from counting this run: it would miss one that was too short for the store to learn of.
        leases = Keys().leases("events")
        store.zadd(leases, dict.fromkeys(store.zrange(leases, 0, -1), NEVER_MS), xx=True)

    wait_until(lambda: stack.effects() == ["began 1", "began 2"], "it ran again")
    wait_until(lambda: stack.open_events() == 0)
    assert stack.logged().count("claims not given back") == 1
    worker.terminate()
    assert worker.wait(20) == 0
