"""SIGHUP replaces worker processes one by one, with new code and settings."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.events import an_event
from harness.processes import children_of
from harness.stack import Stack, wait_until

pytestmark = pytest.mark.chaos
NOTES_IMPORT = "\nwith open('imports', 'a') as file: file.write(f'{os.getpid()}\\n')\n"
Build = Callable[..., Stack]
STARTED, COMPLETED = "worker process replacement started", "worker process replacement completed"
FAILED = "worker process replacement failed"

FIRST = """
@on("user.create", name="long")
def long(event, attempt):
    effect("began", attempt.number)
    while not os.path.exists("released"): time.sleep(0.02)
    effect("finished by the old code")

@on("user.delete", name="short", queue="old-queue")
def short(event): effect("old", os.getpid())
"""
SECOND = """
@on("user.create", name="long")
def long(event): effect("long by the new code")

@on("user.delete", name="short", queue="new-queue")
def short(event): effect("new", os.environ["EFFECTS"] and os.getpid())
"""


def reload(worker: Any) -> None:
    os.kill(worker.pid, signal.SIGHUP)


def test_new_code_and_settings_take_over_while_the_old_process_finishes_its_work(build_stack: Build) -> None:
    stack = build_stack(FIRST + NOTES_IMPORT)
    del stack.environ["SUREHOOK_HANDLERS"]
    settings = stack.folder / ".env"
    settings.write_text("SUREHOOK_HANDLERS=myhooks\nSUREHOOK_GRACE=300\nSUREHOOK_HANDLER_TIMEOUT=300\n")
    stack.start_ingest()
    worker = stack.start_worker("--processes", "2")
    stack.deliver(an_event("user.create"))
    wait_until(lambda: stack.effects() == ["began 1"], "a long handler runs")
    wait_until(lambda: len(stack.worker_pids()) == 4, "two processes on each of two queues")
    old = stack.worker_pids()
    source = (stack.folder / "myhooks.py").read_text()
    stack.write_handlers(SECOND + NOTES_IMPORT)
    (stack.folder / "newhooks.py").write_text((stack.folder / "myhooks.py").read_text())
    (stack.folder / "myhooks.py").write_text(source)
    settings.write_text("SUREHOOK_HANDLERS=newhooks\nSUREHOOK_GRACE=300\nSUREHOOK_HANDLER_TIMEOUT=300\n")

    reload(worker)

    wait_until(lambda: COMPLETED in stack.logged(), "all are replaced", seconds=90)
    stack.deliver()
    stack.deliver(an_event("user.create"))
    wait_until(lambda: len(stack.effects()) == 3, "the new code runs")
    assert "long by the new code" in stack.effects()
    assert any(line.startswith("new ") for line in stack.effects())
    wait_until(lambda: len(set(old) & set(stack.worker_pids())) == 1, "only the busy one of the old ones is left")

    (stack.folder / "released").touch()
    wait_until(lambda: "finished by the old code" in stack.effects() and stack.open_events() == 0)
    wait_until(lambda: not set(old) & set(stack.worker_pids()), "the last old one has ended")
    assert stack.effects().count("began 1") == 1
    imports = [int(pid) for pid in (stack.folder / "imports").read_text().split()]
    assert sorted(imports) == sorted({*old, *stack.worker_pids()}), "once, and only in processes that run handlers"
    assert not any(word in stack.logged() for word in ("worker process died", "run interrupted", FAILED))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param("this is no Python", "a mistake", id="a module that does not import"),
        pytest.param(
            f"import sys\nif 'process.py' in sys.argv[0]: os._exit(9)\n{SECOND}",
            "a new process ended before it took events",
            id="processes that die",
        ),
    ],
)
def test_old_processes_stay_if_new_ones_do_not_start(build_stack: Build, code: str, reason: str) -> None:
    stack = build_stack(FIRST)
    stack.start_ingest()
    worker = stack.start_worker()
    wait_until(lambda: len(stack.worker_pids()) == 2, "they take events")
    old, processes = stack.worker_pids(), children_of(worker.pid)
    stack.write_handlers(code)

    reload(worker)

    wait_until(lambda: FAILED in stack.logged(), "it is reported")
    assert reason in next(line for line in stack.logged().splitlines() if FAILED in line)
    wait_until(lambda: children_of(worker.pid) == processes, "no other process is left")
    stack.deliver()
    wait_until(lambda: stack.open_events() == 0)
    assert stack.worker_pids() == old
    assert "worker process died" not in stack.logged()

    stack.write_handlers(SECOND)
    reload(worker)
    wait_until(lambda: COMPLETED in stack.logged(), "the next one succeeds", seconds=90)
    wait_until(lambda: not set(old) & set(stack.worker_pids()), "the old ones end")


def test_a_stop_during_a_replacement_ends_all_processes(build_stack: Build) -> None:
    stack = build_stack(FIRST)
    worker = stack.start_worker()
    wait_until(lambda: len(stack.worker_pids()) == 2, "they take events")
    stack.write_handlers(f"{SECOND}\nif 'process.py' in __import__('sys').argv[0]: effect('starts'); time.sleep(30)")
    reload(worker)
    wait_until(lambda: "starts" in stack.effects(), "a new process starts")
    processes = children_of(worker.pid)

    worker.terminate()

    assert worker.wait(20) == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    assert COMPLETED not in stack.logged()
