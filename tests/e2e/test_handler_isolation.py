"""Many handlers in one process: their effects on each other, and their jobs when the process dies."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.tracebacks import unpacked
from tests.support.ledger import is_balanced

Build = Callable[..., Stack]

# `beside` waits for a file, so that the test says when it may end; the others go on too long the first time.
BESIDE = """
import asyncio, ctypes

def gate(): return os.path.exists(os.environ["GATE"])

@on("user.create", name="beside", timeout=60)
def beside(event, attempt):
    effect("beside", attempt.number)
    while not gate(): time.sleep(0.02)
    effect("ended", attempt.number)

def is_first(event, attempt):
    effect(event.type, attempt.number)
    return attempt.number == 1
"""
TOO_LONG = '@on("{type}", name="{name}", timeout=1, backoff=[0])\n{function}\n'
STOPPABLE = {
    "user.delete": "def plain(event, attempt):\n    if is_first(event, attempt):\n        while True: time.sleep(0.02)",
    "user.update": "def computes(event, attempt):\n    if is_first(event, attempt):\n        while True: pass",
    "user.action": "async def waits(event, attempt):\n    if is_first(event, attempt): await asyncio.sleep(600)",
    "user.bulk.create": "async def blocks(event, attempt):\n    if is_first(event, attempt):\n        while True: pass",
    "user.deactivate": """def swallows(event, attempt):
    try:
        while is_first(event, attempt):
            while True: time.sleep(0.02)
    except Exception: pass""",
}
STUCK = {
    "user.delete": "def in_c(event, attempt):\n    if is_first(event, attempt): time.sleep(600)",
    "user.action": "async def blocks(event, attempt):\n    if is_first(event, attempt): time.sleep(600)",
    "user.deactivate": """def swallows(event, attempt):
    while is_first(event, attempt):
        while True:
            try: time.sleep(0.05)
            except BaseException: pass""",
}


def a_stack(build_stack: Build, functions: dict[str, str]) -> Stack:
    parts = [
        TOO_LONG.format(type=event_type, name=event_type.replace(".", "_"), function=function)
        for event_type, function in functions.items()
    ]
    stack = build_stack(BESIDE + "\n".join(parts))
    stack.environ["GATE"] = str(stack.folder / "gate")
    stack.start_ingest()
    stack.start_worker()
    for _ in range(3):
        stack.deliver(an_event("user.create"))
    wait_until(lambda: stack.effects() == ["beside 1"] * 3)
    for event_type in functions:
        stack.deliver(an_event(event_type))
    return stack


def test_a_timeout_stops_handlers_of_every_kind_and_no_others(build_stack: Build) -> None:
    stack = a_stack(build_stack, STOPPABLE)
    (pid,) = stack.worker_pids()

    wait_until(lambda: {f"{each} 2" for each in STOPPABLE} <= set(stack.effects()), "each was stopped and runs again")
    (stack.folder / "gate").touch()
    wait_until(lambda: stack.open_events() == 0)

    assert stack.worker_pids() == [pid]
    expected = Counter({"beside 1": 3, "ended 1": 3}) + Counter(f"{each} {run}" for each in STOPPABLE for run in (1, 2))
    assert Counter(stack.effects()) == expected
    assert stack.logged().count('"outcome": "timed out"') == len(STOPPABLE)


def test_handlers_that_do_not_stop_cost_their_process_and_only_they_are_blamed(build_stack: Build) -> None:
    stack = a_stack(build_stack, STUCK)

    wait_until(lambda: any(line.endswith(" 2") for line in stack.effects()), "their process was ended")
    (stack.folder / "gate").touch()
    wait_until(lambda: stack.open_events() == 0)

    expected = Counter({"beside 1": 3, "beside 2": 3, "ended 2": 3})
    assert Counter(stack.effects()) == expected + Counter(f"{each} {run}" for each in STUCK for run in (1, 2))
    assert "worker process killed, handler does not stop" in stack.logged()
    with stack.redis() as store:
        assert is_balanced(store)
        blamed = Counter(store.hget(key, "interrupted:") for key in store.scan_iter("surehook:event:*"))
        assert blamed == {None: 6}  # their runs are timeouts, not deaths
        attempts = [
            json.loads(line) for key in store.scan_iter("surehook:attempts:*") for line in store.lrange(key, 0, -1)
        ]
    late = [attempt for attempt in attempts if attempt["outcome"] == "timed out"]
    assert {attempt["handler"] for attempt in late} == {each.replace(".", "_") for each in STUCK}
    shown = [unpacked(attempt["traceback"]) for attempt in late]
    assert all(text.splitlines()[-1] == "HandlerTimeout: ran longer than 1 s" for text in shown)
    assert any('myhooks.py", line' in text and "time.sleep(600)" in text for text in shown)
    assert not any("surehook/workers" in text or "threading.py" in text for text in shown)
    assert "most recent call first" not in stack.logged()


@pytest.mark.parametrize(
    "also_the_parent",
    [
        pytest.param(False, id="the process"),
        pytest.param(True, id="its parent too", marks=pytest.mark.chaos),
    ],
)
def test_jobs_of_a_killed_process_come_back_and_those_not_begun_uncounted(
    also_the_parent: bool, build_stack: Build
) -> None:
    stack = build_stack("""
@on("*", name="it", timeout=60)
def it(event, attempt):
    effect(event.id, attempt.number)
    while attempt.number == 1 and not os.path.exists(os.environ["GATE"]): time.sleep(0.02)
""")
    stack.environ["GATE"] = str(stack.folder / "gate")
    stack.start_ingest()
    worker = stack.start_worker("--threads", "4")
    for _ in range(10):
        stack.deliver()
    wait_until(lambda: len(stack.effects()) == 4, "four run, six wait")
    begun = {line.split()[0] for line in stack.effects()}

    pids = stack.worker_pids()
    if also_the_parent:
        worker.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    (stack.folder / "gate").touch()
    if also_the_parent:
        stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")

    wait_until(lambda: stack.open_events() == 0, seconds=40)
    runs = Counter(line.split()[0] for line in stack.effects())
    assert {event_id for event_id, count in runs.items() if count == 2} == begun
    assert sorted(runs.values()) == [1] * 6 + [2] * 4
    with stack.redis() as store:
        assert is_balanced(store)
        assert not list(store.scan_iter("surehook:held:*"))


def test_sigterm_with_eight_running_lets_those_finish_that_can(build_stack: Build) -> None:
    stack = build_stack("""
@on("user.create", name="short", timeout=60)
def short(event):
    effect("short began")
    while not os.path.exists(os.environ["GATE"]): time.sleep(0.02)
    time.sleep(1)  # time for its process to hear of the stop
    effect("short ended")

@on("user.delete", name="long", timeout=60)
def long(event, attempt):
    effect("long began", attempt.number)
    time.sleep(600)
""")
    stack.environ["GATE"] = str(stack.folder / "gate")
    stack.start_ingest()
    worker = stack.start_worker("--grace", "3")
    for event_type in ["user.create", "user.delete"] * 4:
        stack.deliver(an_event(event_type))
    wait_until(lambda: len(stack.effects()) == 8)
    stack.deliver()  # a ninth that cannot begin

    worker.terminate()
    wait_until(lambda: "is stopping" in stack.logged(), "the signal was heard")
    (stack.folder / "gate").touch()

    assert worker.wait(20) == 0
    assert Counter(stack.effects()) == {"short began": 4, "short ended": 4, "long began 1": 4}
    with stack.redis() as store:
        assert store.llen("rq:queue:events") == 5
        assert is_balanced(store)
        assert store.smembers("rq:workers") == set()
        assert {store.hget(key, "interrupted:") for key in store.scan_iter("surehook:event:*")} == {None}


def test_recycling_under_load_loses_and_doubles_nothing(build_stack: Build) -> None:
    stack = build_stack("""
@on("*", name="it")
def it(event):
    time.sleep(0.02)
    effect(event.id, os.getpid())
""")
    stack.start_ingest()
    for _ in range(200):
        stack.deliver()
    stack.start_worker(SUREHOOK_RECYCLE_JOBS="50")  # a process checks that ten times a second

    wait_until(lambda: len(stack.effects()) == 200 and stack.open_events() == 0)

    seen = [line.split() for line in stack.effects()]
    assert len({event_id for event_id, _ in seen}) == 200
    assert len({pid for _, pid in seen}) >= 2
    assert "worker process died" not in stack.logged()
    assert "run interrupted" not in stack.logged()


def test_an_idle_worker_stops_at_once_though_its_store_hangs(build_stack: Build) -> None:
    stack = build_stack('@on("*")\ndef it(event): pass\n')
    worker = stack.start_worker()
    wait_until(stack.worker_pids)
    stack.server.send_signal(signal.SIGSTOP)
    try:
        worker.terminate()
        assert worker.wait(8) == 0  # a store call's timeout is 4 s: none of them is waited for
    finally:
        stack.server.send_signal(signal.SIGCONT)


def test_async_handlers_share_a_loop_and_run_beside_each_other(build_stack: Build) -> None:
    stack = build_stack("""
import asyncio
arrived = []
@on("*", name="it", timeout=20)
async def it(event):
    arrived.append(asyncio.get_running_loop())
    while len(arrived) < 6: await asyncio.sleep(0.01)
    effect(len(set(map(id, arrived))))
""")
    stack.start_ingest()
    stack.start_worker("--threads", "6")
    for _ in range(6):
        stack.deliver()

    wait_until(lambda: stack.effects() == ["1"] * 6, "all six met in one loop")
