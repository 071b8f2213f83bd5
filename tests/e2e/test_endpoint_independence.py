"""P7: slow or dead workers do not slow an answer."""

import os
import signal
from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until


def test_answers_come_while_every_worker_is_stuck(build_house: Callable[..., Stack]) -> None:
    house = build_house("""
@on("*", name="stuck")
def stuck(event):
    effect("began")
    time.sleep(20)
""")
    house.start_ingest()
    house.start_worker()
    house.deliver()
    wait_until(house.effects)

    assert [house.deliver().status_code for _ in range(20)] == [202] * 20

    (pid,) = house.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert [house.deliver().status_code for _ in range(20)] == [202] * 20
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_duplicate_is_not_run_again_whatever_became_of_the_first(build_house: Callable[..., Stack]) -> None:
    house = build_house("""
@on("user.delete", name="done")
def done(event): effect("done")

@on("user.update", name="dies", retries=0)
def dies(event):
    effect("dies")
    raise OSError
""")
    house.start_ingest()
    first, second = an_event("user.delete"), an_event("user.update")
    answers = [house.deliver(first), house.deliver(first)]
    house.start_worker()
    wait_until(lambda: house.effects() == ["done"])
    house.deliver(second)
    wait_until(lambda: house.effects() == ["done", "dies"])

    answers += [house.deliver(first), house.deliver(second)]

    assert [answer.status_code for answer in answers] == [202, 200, 200, 200]
    with house.redis() as store:
        assert store.llen("rq:queue:events") == 0
    assert house.effects() == ["done", "dies"]
