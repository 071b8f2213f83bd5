"""P4: a transactional answer tells the truth, whatever is killed, and whenever."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from shared.keys import Keys
from shared.replies import texts
from tests.support.events import an_event
from tests.support.house import House, wait_until
from tests.support.ledger import is_balanced, ledger

Build = Callable[..., House]
KEYS = Keys()
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}
LONG = TRANSACTIONAL | {"SUREHOOK_TRANSACTION_TIMEOUT": "20"}
VOTE = """
from surehook import Reject

def undo(event): effect("undone", event.id)

@on("user.create", name="vote", transactional=True, on_abandoned=undo)
def vote(event):
    effect("done", event.id)
    time.sleep(getattr(event.user, "seconds", None) or 0)
    if event.user.email == "no@example.com":
        raise Reject("not you")

@on("user.create", name="tell")
def tell(event): effect("told", event.id)
"""


@contextmanager
def senders(house: House, answers: dict[str, int], count: int = 4) -> Iterator[None]:
    """As FusionAuth: 2 s until an answer, and no second try. What is not answered counts as 0."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            event = an_event("user.create")
            try:
                answers[event["id"]] = house.deliver(event).status_code
            except httpx.TransportError:
                answers[event["id"]] = 0

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def wait_for_yes(answers: dict[str, int], count: int) -> None:
    before = Counter(answers.values())[200]
    wait_until(
        lambda: Counter(dict(answers).values())[200] >= before + count, f"yes again: {Counter(answers.values())}"
    )


def check_the_truth(house: House, answers: dict[str, int]) -> None:
    """The ledger of answers against the ledger of effects."""
    with house.redis() as store:
        wait_until(lambda: ledger(store)["open"] == 0, f"all is decided and told: {ledger(store)}", seconds=40)
        assert is_balanced(store)
        orphans = set(texts(store.zrange(KEYS.orphans, 0, -1)))
        assert not list(store.scan_iter(f"{KEYS.prefix}:txn-run:*"))
        assert store.zcard(KEYS.transactions) == 0
    effects = [line.split() for line in house.effects()]
    done, undone, told = (
        [event_id for word, event_id in effects if word == which] for which in ("done", "undone", "told")
    )
    yes = {event_id for event_id, status in answers.items() if status == 200}
    no = {event_id for event_id, status in answers.items() if status not in (0, 200)}
    assert yes <= set(done)
    assert not yes & orphans
    assert not yes & set(undone)
    assert yes <= set(told)
    assert len(done) == len(set(done))  # nothing starts twice
    # Whoever was told no and whose handler ran: it is an orphan, listed and undone, unless it never had an effect.
    unknown = {event_id for event_id in no if answers[event_id] == 503}  # it broke between confirm and the wire
    assert set(done) & no - unknown <= orphans
    assert orphans <= set(undone)
    assert not set(told) & orphans


@pytest.mark.parametrize(
    "what",
    ["ingest", pytest.param("worker", marks=pytest.mark.chaos), pytest.param("store", marks=pytest.mark.chaos)],
)
def test_what_is_killed_under_load_makes_no_answer_a_lie(what: str, build_house: Build) -> None:
    house = build_house(VOTE)
    answers: dict[str, int] = {}
    ingest = house.start_ingest(**TRANSACTIONAL)
    house.start_worker(**TRANSACTIONAL)

    with senders(house, answers):
        for _ in range(2):
            wait_for_yes(answers, 15)
            if what == "ingest":
                ingest.kill()
                ingest.wait()
                ingest = house.start_ingest(**TRANSACTIONAL)
            elif what == "worker":
                for pid in house.worker_pids():
                    os.kill(pid, signal.SIGKILL)
            else:
                house.kill_store()
                house.restart_store()
        wait_for_yes(answers, 15)

    check_the_truth(house, answers)


def test_a_veto_is_told_and_nobody_else_is(build_house: Build) -> None:
    house = build_house(VOTE)
    house.start_ingest(**TRANSACTIONAL)
    house.start_worker(**TRANSACTIONAL)
    yes = an_event("user.create")
    no = an_event("user.create", user={"id": yes["user"]["id"], "email": "no@example.com"})
    wait_until(lambda: house.deliver(yes).status_code == 200, "a worker lives")

    response = house.deliver(no)

    assert (response.status_code, response.json()["exception"]) == (422, "[rejected] not you")
    wait_until(lambda: house.open_events() == 0)
    assert sorted(house.effects()) == sorted([f"done {yes['id']}", f"told {yes['id']}", f"done {no['id']}"])


def slow(seconds: float) -> dict[str, Any]:
    event = an_event("user.create")
    event["user"] |= {"seconds": seconds}
    return event


def test_each_thread_decides_and_a_stop_waits_for_all_of_them(build_house: Build) -> None:
    house = build_house(VOTE)
    house.start_ingest(**LONG)
    worker = house.start_worker("--threads", "4", **LONG)
    wait_until(lambda: house.deliver(an_event("user.create")).status_code == 200, "a worker lives")
    before = len(house.effects())

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(house.deliver, slow(2)) for _ in range(4)]
        wait_until(lambda: len([line for line in house.effects()[before:] if line.startswith("done")]) == 4, "all run")
        worker.terminate()
        assert [answer.result().status_code for answer in answers] == [200] * 4

    assert worker.wait(10) == 0
    assert house.deliver(an_event("user.create")).status_code == 503


@pytest.mark.chaos
def test_a_handler_that_cannot_be_stopped_costs_its_process_and_is_an_orphan(build_house: Build) -> None:
    house = build_house(VOTE)
    house.start_ingest(**TRANSACTIONAL)
    house.start_worker("--queue", "transactional", **TRANSACTIONAL)
    house.start_worker("--queue", "events", **TRANSACTIONAL)
    wait_until(lambda: house.deliver(an_event("user.create")).status_code == 200, "a worker lives")
    stuck = slow(600)

    assert house.deliver(stuck).status_code == 504
    assert house.deliver(an_event("user.create")).status_code == 200  # by another thread

    wait_until(lambda: "handler cannot be stopped, process killed" in house.logged(), "it is killed", seconds=20)
    wait_until(lambda: f"undone {stuck['id']}" in house.effects(), "its effect is undone", seconds=30)
    assert house.deliver(an_event("user.create")).status_code == 200
    with house.redis() as store:
        assert texts(store.zrange(KEYS.orphans, 0, -1)) == [stuck["id"]]
        assert is_balanced(store)


def test_handlers_and_settings_that_disagree_stop_the_worker_with_a_sentence(build_house: Build) -> None:
    house = build_house(VOTE)

    ran = house.run("worker")

    assert ran.returncode == 2
    assert "SUREHOOK_TRANSACTIONAL_EVENTS does not list it" in ran.stderr


def test_ingest_and_workers_that_disagree_say_what_to_change(build_house: Build) -> None:
    house = build_house(VOTE)
    house.start_ingest(SUREHOOK_TRANSACTIONAL_EVENTS="user.create,user.update")
    house.start_worker(**TRANSACTIONAL)

    wait_until(lambda: house.logged().count("set it to the same for both") >= 2, "both say so")
    assert '"ingest_has": "user.create,user.update"' in house.logged()
