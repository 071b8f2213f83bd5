"""The memory of an idle worker. `make bench PART=memory` measures it under 100,000 events."""

from collections.abc import Callable

from harness.processes import children_of, resident_bytes, serving_processes_of
from harness.stack import Stack, wait_until

MOST_IDLE_MIB = 80
MOST_GUARD_MIB = 16


def test_an_idle_worker_process_and_its_parent_stay_small(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack('@on("*")\ndef nothing(event): pass\n')
    worker = stack.start_worker()
    wait_until(lambda: len(stack.worker_pids()) == 1 and "worker takes events" in stack.logged())

    (guard,), (process,) = children_of(worker.pid), serving_processes_of(worker.pid)

    assert resident_bytes(guard) / 2**20 < MOST_GUARD_MIB
    assert resident_bytes(process) / 2**20 < MOST_IDLE_MIB
    assert resident_bytes(worker.pid) / 2**20 < MOST_IDLE_MIB
