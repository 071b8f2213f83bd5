"""P1 and P2: acknowledged events are handled, whichever process is killed, at any time."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import httpx

from harness.events import an_event
from harness.stack import Stack, wait_until
from tests.support.ledger import is_balanced, ledger

RECORD = """
@on("*", name="record")
def record(event): effect(event.id)
"""
FIRST_RUN_NEVER_ENDS = """
@on("*", name="slow", timeout=60)
def slow(event, attempt):
    effect("began", attempt.number)
    if attempt.number == 1: time.sleep(50)
    effect("ended", attempt.number)
"""
Build = Callable[..., Stack]


def deliver_or_lose(stack: Stack, accepted: list[str]) -> None:
    """Send as a client does: an event without an answer, or with a refusal, is not accepted."""
    event = an_event()
    try:
        if stack.deliver(event).status_code == 202:
            accepted.append(event["id"])
    except httpx.TransportError:
        pass


def test_an_event_survives_the_store_being_killed_right_after_the_answer(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest()
    event = an_event()

    assert stack.deliver(event).status_code == 202
    stack.kill_store()
    stack.restart_store()
    stack.start_worker()

    wait_until(lambda: stack.effects() == [event["id"]], "the event is handled")


def test_a_killed_worker_process_is_replaced_and_its_event_runs_again(build_stack: Build) -> None:
    stack = build_stack(FIRST_RUN_NEVER_ENDS)
    stack.start_ingest()
    stack.start_worker()
    stack.deliver()
    wait_until(stack.effects, "the handler began")

    (pid,) = stack.worker_pids()
    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: stack.effects() == ["began 1", "began 2", "ended 2"], "it ran again", seconds=15)
    with stack.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0)
        assert is_balanced(store)


def test_an_event_of_a_machine_that_died_runs_elsewhere_within_fifteen_seconds(build_stack: Build) -> None:
    stack = build_stack(FIRST_RUN_NEVER_ENDS)
    stack.start_ingest()
    doomed = stack.start_worker()
    stack.deliver()
    wait_until(stack.effects, "the handler began")
    other = stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    wait_until(lambda: len(stack.worker_pids()) == 2, "the other is there")
    pids = stack.worker_pids()

    os.kill(doomed.pid, signal.SIGKILL)
    for pid in pids:
        if parent_of(pid) != other.pid:
            os.kill(pid, signal.SIGKILL)

    wait_until(lambda: "ended 2" in stack.effects(), "it ran elsewhere", seconds=15)


def test_without_a_spool_a_store_that_goes_away_is_answered_with_503_and_waited_for(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest(SUREHOOK_SPOOL_DIR="off")
    stack.start_worker()
    first, second = an_event(), an_event()
    stack.deliver(first)
    wait_until(lambda: stack.effects() == [first["id"]])

    stack.kill_store()
    refusals = [stack.deliver(second) for _ in range(5)]
    assert {refusal.status_code for refusal in refusals} == {503}
    assert refusals[-1].headers["Retry-After"] == "5"
    assert max(refusal.elapsed.total_seconds() for refusal in refusals) < 1  # the promise itself
    wait_until(lambda: not stack.is_ready(), "readiness is red")
    stack.restart_store()

    wait_until(stack.is_ready, "readiness is green")
    assert stack.deliver(second).status_code == 202
    wait_until(lambda: stack.effects() == [first["id"], second["id"]], "the worker goes on")


def test_without_a_spool_a_store_that_hangs_is_answered_with_503(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest(SUREHOOK_SPOOL_DIR="off", SUREHOOK_STORE_TIMEOUT="0.5")
    stack.server.send_signal(signal.SIGSTOP)
    try:
        refusals = [stack.deliver() for _ in range(3)]
    finally:
        stack.server.send_signal(signal.SIGCONT)

    assert {refusal.status_code for refusal in refusals} == {503}
    assert max(refusal.elapsed.total_seconds() for refusal in refusals) < 1  # the promise itself
    wait_until(stack.is_ready)


def test_a_silent_store_counts_no_worker_as_dead(build_stack: Build) -> None:
    stack = build_stack("""
@on("*", name="slow", timeout=60)
def slow(event, attempt):
    effect("began", attempt.number)
    time.sleep(16)
    effect("ended", attempt.number)
""")
    stack.start_ingest()
    stack.start_worker()
    stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    stack.deliver()
    wait_until(stack.effects, "the handler began")

    stack.server.send_signal(signal.SIGSTOP)
    threading.Event().wait(11)  # longer than a lease: this is what the test is about
    stack.server.send_signal(signal.SIGCONT)

    wait_until(lambda: stack.open_events() == 0, "it is settled")
    assert stack.effects() == ["began 1", "ended 1"]


def test_an_event_acknowledged_by_a_killed_ingest_process_is_handled(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_worker()
    accepted: list[str] = []

    for _ in range(3):
        ingest = stack.start_ingest()
        with under_load(stack, accepted):
            wait_for_more(accepted, 20)
            ingest.kill()

    wait_until(lambda: set(accepted) <= set(stack.effects()), "all accepted events are handled")
    assert len(stack.effects()) == len(set(stack.effects()))
    with stack.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0)
        assert is_balanced(store)


def test_events_lost_by_hand_are_found_again_without_help(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest()
    event = an_event()
    stack.deliver(event)
    with stack.redis() as store:
        store.delete(f"rq:job:{event['id']}", "rq:queue:events")

    stack.start_worker()

    wait_until(lambda: stack.effects() == [event["id"]], "the sweep found it")


@contextlib.contextmanager
def under_load(stack: Stack, accepted: list[str]) -> Iterator[None]:
    """Four senders, for as long as the block lasts."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            deliver_or_lose(stack, accepted)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        is_over.set()
        for sender in senders:
            sender.join()


def wait_for_more(accepted: list[str], count: int) -> None:
    before = len(accepted)
    wait_until(lambda: len(accepted) > before + count, "events are accepted")


def parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - as short as it gets
        return int(stat.read().rpartition(")")[2].split()[1])


def test_a_store_killed_under_load_loses_nothing_it_had_answered_for(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest()
    stack.start_worker()
    accepted: list[str] = []

    with under_load(stack, accepted):
        for _ in range(2):
            wait_for_more(accepted, 20)
            stack.kill_store()
            stack.restart_store()
            wait_until(stack.is_ready)

    wait_until(lambda: set(accepted) <= set(stack.effects()), "all accepted events are handled")
    wait_until(lambda: stack.open_events() == 0)
