"""P7: slow or dead workers do not slow an answer."""

import os
import signal
from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until


def test_answers_come_while_every_worker_is_stuck(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack("""
@on("*", name="stuck")
def stuck(event):
    effect("began")
    time.sleep(20)
""")
    stack.start_ingest()
    stack.start_worker()
    stack.deliver()
    wait_until(stack.effects)

    assert [stack.deliver().status_code for _ in range(20)] == [202] * 20

    (pid,) = stack.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert [stack.deliver().status_code for _ in range(20)] == [202] * 20
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_duplicate_is_not_run_again_whatever_became_of_the_first(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack("""
@on("user.delete", name="done")
def done(event): effect("done")

@on("user.update", name="dies", retries=0)
def dies(event):
    effect("dies")
    raise OSError
""")
    stack.start_ingest()
    first, second = an_event("user.delete"), an_event("user.update")
    answers = [stack.deliver(first), stack.deliver(first)]
    stack.start_worker()
    wait_until(lambda: stack.effects() == ["done"])
    stack.deliver(second)
    wait_until(lambda: stack.effects() == ["done", "dies"])

    answers += [stack.deliver(first), stack.deliver(second)]

    assert [answer.status_code for answer in answers] == [202, 200, 200, 200]
    with stack.redis() as store:
        assert store.llen("rq:queue:events") == 0
    assert stack.effects() == ["done", "dies"]
