"""A worker process that meets an error of ours says so with its exit status, and is replaced."""

import json
from collections.abc import Callable

from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts

Build = Callable[..., Stack]


def test_a_loop_that_breaks_ends_its_process_with_a_status_and_another_goes_on(build_stack: Build) -> None:
    stack = build_stack('@on("*", name="it")\ndef it(event): effect(event.id)\n')
    stack.start_ingest()
    stack.start_worker()
    wait_until(lambda: len(stack.worker_pids()) == 1)
    (pid,) = stack.worker_pids()
    with stack.redis() as store:
        process = texts(store.smembers("rq:workers"))[0].removeprefix("rq:worker:").rpartition(".")[0]
        # As if another process of that name had a higher exchange number, so this one's work might be repeated.
        store.hset(Keys().exchange(process), "number", 10**6)

    event_id = stack.deliver().json()["eventId"]

    wait_until(lambda: stack.effects() == [event_id], "another handles the event")
    wait_until(lambda: stack.open_events() == 0)
    assert pid not in stack.worker_pids()
    lines = [json.loads(line) for line in stack.logged().splitlines() if '"worker process died"' in line]
    assert [line["status"] for line in lines] == [1]
    assert "fetcher failed" in stack.logged()
