"""A timeout is raised inside the handler or not at all."""

import sys
import threading
import time
from functools import partial

import pytest

from surehook.workers.execution.timeouts import Timeout, _fire, _Run
from surehook.workers.handlers.errors import HandlerTimeout

ROUNDS = 3000
STEPS = 1500


def the_run(timeout: Timeout) -> _Run:
    run = timeout._run  # noqa: SLF001 - what the watchdog has in its hands
    assert run is not None
    return run


def test_a_timeout_that_fires_while_the_handler_ends_is_never_raised_afterwards() -> None:
    """The handler makes its timeout due shortly before its end, at another step each time."""
    timeout, is_over, raised_outside = Timeout(), threading.Event(), []

    def fire() -> None:
        while not is_over.is_set():
            timeout.fire_if_due(1.0)

    def end_after(steps: int) -> None:
        the_run(timeout).deadline = 0.0
        for _ in range(steps):
            pass

    firing = threading.Thread(target=fire)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the two meet at every step
    firing.start()
    outcomes = set()
    try:
        for number in range(ROUNDS):
            try:
                outcomes.add(type(timeout.call(partial(end_after, number % STEPS), deadline=2.0)))
                for _ in range(50):
                    pass
            except HandlerTimeout:
                raised_outside.append(number)
    finally:
        sys.setswitchinterval(before)
        is_over.set()
        firing.join()

    assert raised_outside == []
    assert outcomes == {HandlerTimeout, type(None)}


def test_a_timeout_that_comes_too_late_raises_nothing() -> None:
    timeout, runs = Timeout(), list[_Run]()
    timeout.call(lambda: runs.append(the_run(timeout)), deadline=0.0)

    _fire(runs[0])
    for _ in range(1000):
        pass  # here it would be raised

    assert not runs[0].has_fired


def test_a_timeout_does_not_affect_the_next_run() -> None:
    timeout = Timeout()

    assert timeout.call(lambda: timeout.fire_if_due(2.0), deadline=3.0) is None
    timeout.fire_if_due(float("inf"))
    assert timeout.call(lambda: time.sleep(0), deadline=3.0) is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), KeyboardInterrupt()])
def test_any_exception_of_a_handler_is_returned(error: BaseException) -> None:
    def handler() -> None:
        raise error

    assert Timeout().call(handler, deadline=float("inf")) is error
