"""P1 and P2: what was acknowledged is handled, whatever is killed, and whenever."""

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


def deliver_or_lose(house: Stack, accepted: list[str]) -> None:
    """As a sender: what is not answered, or refused, is not accepted."""
    event = an_event()
    try:
        if house.deliver(event).status_code == 202:
            accepted.append(event["id"])
    except httpx.TransportError:
        pass


def test_an_event_survives_the_store_being_killed_right_after_the_answer(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_ingest()
    event = an_event()

    assert house.deliver(event).status_code == 202
    house.kill_store()
    house.restart_store()
    house.start_worker()

    wait_until(lambda: house.effects() == [event["id"]], "the event is handled")


def test_a_killed_worker_process_is_replaced_and_its_event_runs_again(build_house: Build) -> None:
    house = build_house(FIRST_RUN_NEVER_ENDS)
    house.start_ingest()
    house.start_worker()
    house.deliver()
    wait_until(house.effects, "the handler began")

    (pid,) = house.worker_pids()
    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: house.effects() == ["began 1", "began 2", "ended 2"], "it ran again", seconds=15)
    with house.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0)
        assert is_balanced(store)


def test_an_event_of_a_machine_that_died_runs_elsewhere_within_fifteen_seconds(build_house: Build) -> None:
    house = build_house(FIRST_RUN_NEVER_ENDS)
    house.start_ingest()
    doomed = house.start_worker()
    house.deliver()
    wait_until(house.effects, "the handler began")
    other = house.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    wait_until(lambda: len(house.worker_pids()) == 2, "the other is there")
    pids = house.worker_pids()

    os.kill(doomed.pid, signal.SIGKILL)
    for pid in pids:
        if parent_of(pid) != other.pid:
            os.kill(pid, signal.SIGKILL)

    wait_until(lambda: "ended 2" in house.effects(), "it ran elsewhere", seconds=15)


def test_a_store_that_goes_away_is_answered_with_503_and_waited_for(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_ingest()
    house.start_worker()
    first, second = an_event(), an_event()
    house.deliver(first)
    wait_until(lambda: house.effects() == [first["id"]])

    house.kill_store()
    refusals = [house.deliver(second) for _ in range(5)]
    assert {refusal.status_code for refusal in refusals} == {503}
    assert refusals[-1].headers["Retry-After"] == "5"
    assert max(refusal.elapsed.total_seconds() for refusal in refusals) < 1  # the promise itself
    wait_until(lambda: not house.is_ready(), "readiness is red")
    house.restart_store()

    wait_until(house.is_ready, "readiness is green")
    assert house.deliver(second).status_code == 202
    wait_until(lambda: house.effects() == [first["id"], second["id"]], "the worker goes on")


def test_a_store_that_hangs_is_answered_with_503(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_ingest()
    house.server.send_signal(signal.SIGSTOP)
    try:
        refusals = [house.deliver() for _ in range(3)]
    finally:
        house.server.send_signal(signal.SIGCONT)

    assert {refusal.status_code for refusal in refusals} == {503}
    assert max(refusal.elapsed.total_seconds() for refusal in refusals) < 1  # the promise itself
    wait_until(house.is_ready)


def test_a_store_that_is_silent_is_nobodys_death(build_house: Build) -> None:
    house = build_house("""
@on("*", name="slow", timeout=60)
def slow(event, attempt):
    effect("began", attempt.number)
    time.sleep(16)
    effect("ended", attempt.number)
""")
    house.start_ingest()
    house.start_worker()
    house.start_worker(SUREHOOK_WORKER_METRICS_BIND="off")
    house.deliver()
    wait_until(house.effects, "the handler began")

    house.server.send_signal(signal.SIGSTOP)
    threading.Event().wait(11)  # longer than a lease: this is what the test is about
    house.server.send_signal(signal.SIGCONT)

    wait_until(lambda: house.open_events() == 0, "it is settled")
    assert house.effects() == ["began 1", "ended 1"]


def test_what_a_killed_ingest_process_had_answered_is_handled(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_worker()
    accepted: list[str] = []

    for _ in range(3):
        ingest = house.start_ingest()
        with under_load(house, accepted):
            wait_for_more(accepted, 20)
            ingest.kill()

    wait_until(lambda: set(accepted) <= set(house.effects()), "all accepted events are handled")
    assert len(house.effects()) == len(set(house.effects()))
    with house.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0)
        assert is_balanced(store)


def test_events_lost_by_hand_are_found_again_without_help(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_ingest()
    event = an_event()
    house.deliver(event)
    with house.redis() as store:
        store.delete(f"rq:job:{event['id']}", "rq:queue:events")

    house.start_worker()

    wait_until(lambda: house.effects() == [event["id"]], "the sweep found it")


@contextlib.contextmanager
def under_load(house: Stack, accepted: list[str]) -> Iterator[None]:
    """Four senders, for as long as the block lasts."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            deliver_or_lose(house, accepted)

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


def test_a_store_killed_under_load_loses_nothing_it_had_answered_for(build_house: Build) -> None:
    house = build_house(RECORD)
    house.start_ingest()
    house.start_worker()
    accepted: list[str] = []

    with under_load(house, accepted):
        for _ in range(2):
            wait_for_more(accepted, 20)
            house.kill_store()
            house.restart_store()
            wait_until(house.is_ready)

    wait_until(lambda: set(accepted) <= set(house.effects()), "all accepted events are handled")
    wait_until(lambda: house.open_events() == 0)
