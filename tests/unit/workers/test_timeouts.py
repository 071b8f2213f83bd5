"""A timeout strikes inside of the handler or not at all."""

import sys
import threading
import time

import pytest

from workers.outcomes import HandlerTimeout
from workers.timeouts import Alarm, _ring
from workers.waiting import Waiting, a_bell

ROUNDS = 3000


def test_an_alarm_that_rings_while_the_handler_ends_never_strikes_afterwards() -> None:
    """The end of the handler and the alarm at the same moment, some thousand times."""
    alarm, is_over, struck_outside = Alarm(), threading.Event(), []

    def ring() -> None:
        while not is_over.is_set():
            alarm.ring_if_due(float("inf"))

    ringer = threading.Thread(target=ring)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the two meet at every step
    ringer.start()
    outcomes = set()
    try:
        for number in range(ROUNDS):
            error = alarm.call(lambda number=number: sum(range(number % 200)), due_at=0.0)  # type: ignore[misc]
            try:
                outcomes.add(type(error))
                for _ in range(50):
                    pass
            except HandlerTimeout:
                struck_outside.append(number)
    finally:
        sys.setswitchinterval(before)
        is_over.set()
        ringer.join()

    assert struck_outside == []
    assert HandlerTimeout in outcomes


def test_an_alarm_that_comes_too_late_is_silent() -> None:
    alarm, runs = Alarm(), []
    alarm.call(lambda: runs.append(alarm._run), due_at=0.0)  # noqa: SLF001 - what the watchdog has in its hands

    _ring(runs[0])
    for _ in range(1000):
        pass  # here it would strike

    assert not runs[0].has_rung


def test_an_alarm_leaves_the_next_run_alone() -> None:
    alarm = Alarm()

    assert alarm.call(lambda: alarm.ring_if_due(2.0), due_at=3.0) is None
    alarm.ring_if_due(float("inf"))
    assert alarm.call(lambda: time.sleep(0), due_at=3.0) is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), KeyboardInterrupt()])
def test_whatever_a_handler_raises_is_returned(error: BaseException) -> None:
    def handler() -> None:
        raise error

    assert Alarm().call(handler, due_at=float("inf")) is error


def test_every_claim_that_waits_is_taken_once_and_every_thread_comes_to_its_end() -> None:
    waiting: Waiting[int | None] = Waiting()
    taken: list[int] = []

    def take() -> None:
        bell = a_bell()
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
