"""Stopping: running jobs finish or are given back, nothing is lost, nothing is left running."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from harness.events import a_body, an_event
from harness.processes import has_ended
from harness.stack import Stack, wait_until
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from tests.support.raw_http import a_request, connect, read_until_closed, status_of

Build = Callable[..., Stack]
SLOW = """
@on("*", name="slow", timeout=60)
def slow(event, attempt):
    effect("began", attempt.number)
    time.sleep(float(os.environ["SLOW_SECONDS"]) if attempt.number == 1 else 0)
    effect("ended", attempt.number)
"""
CHECK = """
@on("user.create", name="check", transactional=True)
def check(event):
    effect("began")
    while not os.path.exists("go"): time.sleep(0.02)
"""
CHECKED = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create", "SUREHOOK_TRANSACTION_TIMEOUT": "25"}

# The real endpoint, signalled at a moment that no test could hit from outside.
SIGNALLED_ENDPOINT = """
import os, signal
import surehook.ingest.server
from surehook.shared.settings import load_settings

assert surehook.ingest.server._tune_garbage_collector
surehook.ingest.server._tune_garbage_collector = lambda: os.kill(os.getpid(), signal.SIGTERM)
surehook.ingest.server.serve(load_settings())
"""


def wait_until_checking(stack: Stack) -> str:
    """Returns the key of the workers that can decide transactions, once there is one."""
    available = f"{Keys().prefix}:alive:queue:{TRANSACTIONAL_QUEUE}"
    with stack.redis() as store:
        wait_until(lambda: store.zcard(available), "the worker lives")
    return available


@contextmanager
def submitted(stack: Stack, *, in_pieces: bool) -> Iterator[socket.socket]:
    """A connection whose transaction runs. Its body arrives at once (the fast path), or later (ASGI)."""
    body = a_body(an_event("user.create"))
    head = a_request(f"Content-Length: {len(body)}")
    with connect(stack.port) as connection:
        connection.settimeout(30)
        if in_pieces:
            connection.sendall(head)
            assert stack.is_ready()  # by now the endpoint has read the head
            connection.sendall(body)
        else:
            connection.sendall(head + body)
        wait_until(stack.effects, "it runs")
        yield connection


def is_listening(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return False
    return True


def test_sigterm_lets_a_worker_finish_what_runs_and_take_no_more(build_stack: Build) -> None:
    stack = build_stack(SLOW)
    stack.start_ingest()
    worker = stack.start_worker("--threads", "1", SLOW_SECONDS="2")
    stack.deliver()
    wait_until(stack.effects)
    stack.deliver()

    worker.terminate()

    assert worker.wait(20) == 0
    assert stack.effects() == ["began 1", "ended 1"]
    with stack.redis() as store:
        assert store.llen("rq:queue:events") == 1
        assert store.smembers("rq:workers") == set()


def test_after_the_grace_period_what_runs_is_given_back(build_stack: Build) -> None:
    stack = build_stack(SLOW)
    stack.start_ingest()
    worker = stack.start_worker(SLOW_SECONDS="50", SUREHOOK_GRACE="1")
    stack.deliver()
    wait_until(stack.effects)
    pids = stack.worker_pids()

    worker.terminate()

    assert worker.wait(20) == 0
    assert all(has_ended(pid) for pid in pids)
    with stack.redis() as store:
        assert store.llen("rq:queue:events") == 1
    stack.start_worker(SLOW_SECONDS="0")
    wait_until(lambda: stack.effects() == ["began 1", "began 2", "ended 2"])


def test_a_second_sigterm_ends_the_grace_period(build_stack: Build) -> None:
    stack = build_stack(SLOW)
    stack.start_ingest()
    worker = stack.start_worker(SLOW_SECONDS="50", SUREHOOK_GRACE="60")
    stack.deliver()
    wait_until(stack.effects)

    worker.terminate()
    wait_until(lambda: "is stopping" in stack.logged(), "the first signal was heard")
    worker.terminate()

    assert worker.wait(20) == 0

    with stack.redis() as store:
        assert store.llen("rq:queue:events") == 1


def test_a_handler_that_cannot_be_stopped_takes_its_process_down_not_the_worker(build_stack: Build) -> None:
    stack = build_stack("""
@on("user.delete", name="stubborn", timeout=0.5, backoff=[0])
def stubborn(event):
    effect("began")
    while True:
        try: time.sleep(60)
        except BaseException: pass

@on("user.create", name="quick")
def quick(event): effect("quick")
""")
    stack.start_ingest()
    stack.start_worker()
    stack.deliver()
    wait_until(stack.effects)
    stack.run("trigger", "user.create")

    wait_until(lambda: "quick" in stack.effects(), "the worker goes on")
    event_id = json.loads(stack.run("events", "list", "--type", "user.delete", "--json").stdout)["event_id"]
    wait_until(lambda: "in stubborn" in stack.run("events", "show", event_id).stdout, "where it hung is kept")
    wait_until(lambda: stack.effects().count("began") >= 2 or "dead letter" in stack.logged(), "its event is retried")


def test_killing_the_parent_stops_its_worker_processes(build_stack: Build) -> None:
    stack = build_stack(SLOW)
    worker = stack.start_worker()
    wait_until(stack.worker_pids)
    pids = stack.worker_pids()

    worker.kill()

    wait_until(lambda: all(has_ended(pid) for pid in pids))


def test_ingest_answers_what_is_under_way_and_exits_clean(build_stack: Build) -> None:
    stack = build_stack()
    ingest = stack.start_ingest()
    stack.deliver()

    ingest.terminate()

    assert ingest.wait(20) == 0


def test_a_sender_does_not_wait_for_a_worker_that_stops_and_what_it_runs_is_answered(build_stack: Build) -> None:
    stack = build_stack(CHECK)
    stack.client.timeout = 30
    stack.start_ingest(**CHECKED)
    worker = stack.start_worker(**CHECKED)
    with stack.redis() as store, ThreadPoolExecutor(1) as pool:
        available = wait_until_checking(stack)
        first = pool.submit(stack.deliver, an_event("user.create"))
        wait_until(stack.effects, "it runs")

        worker.terminate()

        wait_until(lambda: not store.zcard(available), "its worker deregisters", seconds=15)
        assert stack.deliver(an_event("user.create")).status_code == 503
        assert not first.done()
        (stack.folder / "go").touch()
        assert first.result().status_code == 200
    assert worker.wait(20) == 0


@pytest.mark.parametrize("in_pieces", [False, True], ids=["fast path", "ASGI"])
def test_ingest_answers_a_transaction_that_waits_before_it_exits(build_stack: Build, *, in_pieces: bool) -> None:
    stack = build_stack(CHECK)
    ingest = stack.start_ingest(**CHECKED)
    stack.start_worker(**CHECKED)
    wait_until_checking(stack)

    with submitted(stack, in_pieces=in_pieces) as connection:
        ingest.terminate()
        wait_until(lambda: not is_listening(stack.port), "it accepts no more connections")
        assert ingest.poll() is None
        (stack.folder / "go").touch()
        answer = read_until_closed(connection)

    assert (status_of(answer), b"connection: close" in answer) == (200, True)
    assert ingest.wait(20) == 0


@pytest.mark.parametrize("in_pieces", [False, True], ids=["fast path", "ASGI"])
def test_at_the_end_of_the_grace_period_ingest_answers_500_and_exits(build_stack: Build, *, in_pieces: bool) -> None:
    stack = build_stack(CHECK)
    ingest = stack.start_ingest(SUREHOOK_GRACE="1", **CHECKED)
    stack.start_worker(**CHECKED)
    wait_until_checking(stack)

    with submitted(stack, in_pieces=in_pieces) as connection:
        ingest.terminate()
        answer = read_until_closed(connection)

    assert status_of(answer) == 500
    assert ingest.wait(20) == 0


def test_ingest_hears_a_signal_that_comes_before_uvicorn_listens_for_any(build_stack: Build) -> None:
    stack = build_stack()

    ingest = subprocess.Popen([sys.executable, "-c", SIGNALLED_ENDPOINT], cwd=stack.folder, env=stack.environ)
    stack.processes.append(ingest)

    assert ingest.wait(15) == 0


def test_ingest_can_be_stopped_once_it_logs_that_it_listens(build_stack: Build) -> None:
    stack = build_stack()
    for count in range(1, 4):
        ingest = stack.surehook("ingest", SUREHOOK_METRICS_BIND="off")
        wait_until(lambda: stack.logged().count("ingest server listening") == count)  # noqa: B023 - at once

        ingest.terminate()

        assert ingest.wait(15) == 0
