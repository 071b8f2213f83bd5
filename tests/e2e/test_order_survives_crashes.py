"""Events of a key run one at a time and in their order while worker processes are killed again and again."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from uuid import uuid4

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until

Build = Callable[..., Stack]
HANDLERS = """
import random

@on("user.*", name="mirror", ordered_by="user", retries=50, backoff=[0.1])
def mirror(event):
    effect(event.user.id, event.id)
    time.sleep(0.005)
    if random.random() < 0.1:
        raise OSError
    effect(event.user.id, event.id)


@on("*", name="other")
def other(event):
    pass
"""
KILLS, EVENTS_OF_A_USER = 6, 25


@pytest.mark.chaos
def test_no_kill_lets_events_of_a_user_overtake_each_other(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    for _ in range(2):
        stack.start_worker("--processes", "2", "--threads", "4")
    wait_until(lambda: len(stack.worker_pids()) == 4, "the workers run")
    users = [str(uuid4()) for _ in range(3)]
    accepted: dict[str, list[str]] = {user_id: [] for user_id in users}
    for number in range(EVENTS_OF_A_USER * len(users)):
        user_id = users[number % len(users)]
        reply = stack.deliver(an_event("user.update", user={"id": user_id}))
        accepted[user_id].append(reply.json()["eventId"])

    for _ in range(KILLS):
        enough = len(stack.effects()) + 5
        wait_until(lambda enough=enough: len(stack.effects()) > enough or not stack.open_events(), "handlers run")  # type: ignore[misc]
        running = wait_until(stack.worker_pids, "a killed process is replaced")
        with suppress(ProcessLookupError):
            os.kill(random.choice(running), signal.SIGKILL)  # noqa: S311 - nothing secret

    def all_closed() -> bool:
        if "dead letter" in stack.logged() or "buried" in stack.logged():  # killed three times during the same job
            stack.run("dead-letters", "replay", "--all")
        return stack.open_events() == 0

    wait_until(all_closed, "every event is closed", seconds=90)
    ran = [line.split() for line in stack.effects()]
    for user_id in users:
        in_order = [event_id for event_id, _ in groupby(event_id for user, event_id in ran if user == user_id)]
        assert in_order == accepted[user_id]
    with stack.redis() as store:
        assert list(store.scan_iter("surehook:line:*")) == []
        assert store.zcard("rq:deferred:events") == 0
