"""A timeout strikes inside of the handler or not at all."""

import sys
import threading
import time
from functools import partial

import pytest

from surehook.workers.execution.timeouts import Timeout, _ring, _Run
from surehook.workers.handlers.errors import HandlerTimeout
from surehook.workers.queue.handoff import Handoff, locked_lock

ROUNDS = 3000
STEPS = 1500


def the_run(alarm: Timeout) -> _Run:
    run = alarm._run  # noqa: SLF001 - what the watchdog has in its hands
    assert run is not None
    return run


def test_an_alarm_that_rings_while_the_handler_ends_never_strikes_afterwards() -> None:
    """The handler makes its alarm due a little before its end, each time another little; the watchdog never rests."""
    alarm, is_over, struck_outside = Timeout(), threading.Event(), []

    def ring() -> None:
        while not is_over.is_set():
            alarm.ring_if_due(1.0)

    def end_after(steps: int) -> None:
        the_run(alarm).due_at = 0.0
        for _ in range(steps):
            pass

    ringer = threading.Thread(target=ring)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the two meet at every step
    ringer.start()
    outcomes = set()
    try:
        for number in range(ROUNDS):
            try:
                outcomes.add(type(alarm.call(partial(end_after, number % STEPS), due_at=2.0)))
                for _ in range(50):
                    pass
            except HandlerTimeout:
                struck_outside.append(number)
    finally:
        sys.setswitchinterval(before)
        is_over.set()
        ringer.join()

    assert struck_outside == []
    assert outcomes == {HandlerTimeout, type(None)}


def test_an_alarm_that_comes_too_late_is_silent() -> None:
    alarm, runs = Timeout(), list[_Run]()
    alarm.call(lambda: runs.append(the_run(alarm)), due_at=0.0)

    _ring(runs[0])
    for _ in range(1000):
        pass  # here it would strike

    assert not runs[0].has_rung


def test_an_alarm_leaves_the_next_run_alone() -> None:
    alarm = Timeout()

    assert alarm.call(lambda: alarm.ring_if_due(2.0), due_at=3.0) is None
    alarm.ring_if_due(float("inf"))
    assert alarm.call(lambda: time.sleep(0), due_at=3.0) is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), KeyboardInterrupt()])
def test_whatever_a_handler_raises_is_returned(error: BaseException) -> None:
    def handler() -> None:
        raise error

    assert Timeout().call(handler, due_at=float("inf")) is error


def test_every_claim_that_waits_is_taken_once_and_every_thread_comes_to_its_end() -> None:
    waiting: Handoff[int | None] = Handoff()
    taken: list[int] = []

    def take() -> None:
        bell = locked_lock()
        while (item := waiting.get(bell)) is not None:
            taken.append(item)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(20_000):
        waiting.put(number)
        if number % 500 == 0:
            time.sleep(0)  # let them fall asleep
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join(20)

    assert not any(thread.is_alive() for thread in threads)
    assert sorted(taken) == list(range(20_000))
