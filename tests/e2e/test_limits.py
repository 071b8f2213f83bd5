"""Limits of handlers, kept by worker processes that do not know of each other and are killed."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until
from tests.e2e.test_docs_handlers import assert_passed
from tests.support.ledger import is_balanced

Build = Callable[..., Stack]
PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")

HANDLERS = """
@on("user.delete", name="few", concurrency=2, timeout=60)
def few(event):
    effect("few", "began", time.time())
    time.sleep(0.1)
    effect("few", "ended", time.time())

@on("user.create", name="spaced", rate="10/s")
async def spaced(event):
    effect("spaced", "began", time.time())

@on("user.update", name="down", breaker=True, retries=0)
def down(event):
    effect("down", "began", time.time())
    if not os.path.exists("repaired"): raise OSError

@on("user.action", name="free")
def free(event):
    effect("free", "began", time.time())
"""


def most_at_a_time(stack: Stack, handler: str) -> int:
    """The highest number of runs of a handler that had begun and not ended."""
    events = [line.split() for line in stack.effects()]
    running = most = 0
    for _, word in sorted((float(at), word) for name, word, at in events if name == handler):
        running += 1 if word == "began" else -1
        most = max(most, running)
    return most


def count(stack: Stack, *words: str) -> int:
    return sum(line.startswith(" ".join(words)) for line in stack.effects())


def held_back(stack: Stack, name: str, events: int) -> dict[str, Any]:
    """The queue as it is listed, if that number of events waits there for its breaker; otherwise nothing."""
    for line in stack.run("queues", "list", "--json").stdout.splitlines():
        queue: dict[str, Any] = json.loads(line)
        if queue["name"] == name and (queue["waiting"], queue["limits"]["waits_for"]) == (events, "breaker"):
            return queue
    return {}


def test_two_workers_keep_the_limits_and_an_outage_costs_nothing(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    stack.start_worker()
    stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    wait_until(lambda: len(stack.worker_pids()) == 2)

    before = time.time()  # when a run begins late, the next one may seem to come too soon
    for event_type in ("user.create", "user.delete", "user.update", "user.action"):
        for _ in range(12):
            stack.deliver(an_event(event_type))
    wait_until(lambda: stack.open_events() == 12, "all but those of the broken handler are done")
    down = wait_until(lambda: held_back(stack, "events.down", 12), "all of those wait for its breaker")
    (stack.folder / "repaired").touch()
    wait_until(lambda: stack.open_events() == 0, "the next probe ends the outage")

    assert most_at_a_time(stack, "few") == 2
    assert count(stack, "few ended") == 12
    starts = sorted(float(line.split()[2]) for line in stack.effects() if line.startswith("spaced"))
    assert len(starts) == 12
    assert starts[-1] - before > 11 * 0.1 - 0.001  # the store counts in milliseconds
    assert (down["waiting"], down["dead"], down["limits"]["waits_for"]) == (12, 0, "breaker")
    assert down["workers"] == 16
    assert count(stack, "down") >= 10 + 12  # a slow machine has time for a probe before the repair
    assert [stack.logged().count(f'"breaker {change}"') for change in ("opened", "closed")] == [1, 1]
    with stack.redis() as store:
        assert is_balanced(store)


@pytest.mark.chaos
def test_killed_workers_neither_exceed_a_limit_nor_use_it_up(build_stack: Build) -> None:
    stack = build_stack("""
@on("user.delete", name="few", concurrency=2, timeout=60)
def few(event, attempt):
    effect("few", "began", time.time())
    while attempt.number == 1 and not os.path.exists("open"): time.sleep(0.02)
    effect("few", "ended", time.time())
""")
    stack.start_ingest()
    first = stack.start_worker()
    for _ in range(6):
        stack.deliver()
    wait_until(lambda: count(stack, "few began") == 2)
    stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    wait_until(lambda: len(stack.worker_pids()) == 2)
    with stack.redis() as store:
        (holder,) = [
            int(store.hget(key, "pid"))
            for key in store.smembers("rq:workers")
            if store.hget(key, "state") == b"busy" and key.endswith(b".1")
        ] or [stack.worker_pids()[0]]

    first.kill()
    os.kill(holder, signal.SIGKILL)
    killed_at_two = count(stack, "few began")
    (stack.folder / "open").touch()

    wait_until(lambda: stack.open_events() == 0, "the other worker takes over", seconds=40)
    assert killed_at_two == 2
    assert count(stack, "few ended") >= 6
    with stack.redis() as store:
        assert is_balanced(store)
        assert not store.exists("surehook:leases:events.few")


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(code)

    assert_passed(2, tmp_path)
