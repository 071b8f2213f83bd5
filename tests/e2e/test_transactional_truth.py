"""P4: a transactional answer tells the truth, whichever process is killed, at any time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from tests.support.ledger import is_balanced
from tests.support.oracles.answers import (
    LONGEST_SECONDS,
    SEED,
    check_effects,
    kill,
    senders,
    slow,
    wait_for_answers,
    wait_for_successes,
)

Build = Callable[..., Stack]
KEYS = Keys()
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}
LONG = TRANSACTIONAL | {"SUREHOOK_TRANSACTION_TIMEOUT": "20"}
HANDLERS = """
from surehook import Reject

def undo(event): effect("undone", event.id)

@on("user.create", name="check", transactional=True, on_abandoned=undo)
def check(event):
    effect("done", event.id)
    time.sleep(getattr(event.user, "seconds", None) or 0)
    if event.user.email == "no@example.com":
        raise Reject("not you")

@on("user.create", name="tell")
def tell(event): effect("told", event.id)
"""


@pytest.mark.parametrize(
    "what",
    ["ingest", pytest.param("worker", marks=pytest.mark.chaos), pytest.param("store", marks=pytest.mark.chaos)],
)
def test_no_answer_is_false_when_a_process_is_killed_under_load(what: str, build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    answers: dict[str, int] = {}
    ingest = stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)

    with senders(stack, answers):
        for _ in range(2):
            wait_for_successes(answers, 15)
            if what == "ingest":
                ingest.kill()
                ingest.wait()
                ingest = stack.start_ingest(**TRANSACTIONAL)
            elif what == "worker":
                kill(stack.worker_pids())
            else:
                stack.kill_store()
                stack.restart_store()
        wait_for_successes(answers, 15)

    check_effects(stack, answers, 0 if what == "worker" else 2)


@pytest.mark.chaos
def test_no_answer_is_false_when_processes_are_killed_together_at_any_moment(build_stack: Build) -> None:
    print(f"SEED={SEED}")  # noqa: T201 - to run it again as it was
    chance = Random(SEED)  # noqa: S311 - to be had again
    stack = build_stack(HANDLERS)
    answers: dict[str, int] = {}
    ingest = stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)
    deaths = [chance.sample(("ingest", "worker", "store"), k) for k in (1, 2, 2, 3)]

    with senders(stack, answers, LONGEST_SECONDS):
        wait_for_successes(answers, 5)
        for victims in deaths:
            wait_for_answers(answers, chance.randint(1, 30))
            if "worker" in victims:
                pids = stack.worker_pids()
            if "store" in victims:
                stack.kill_store()
            if "worker" in victims:
                kill(pids)
            if "ingest" in victims:
                ingest.kill()
                ingest.wait()
            if "store" in victims:
                stack.restart_store()
            if "ingest" in victims:
                ingest = stack.start_ingest(**TRANSACTIONAL)
        wait_for_successes(answers, 15)

    check_effects(stack, answers, sum("ingest" in victims or "store" in victims for victims in deaths))


def test_a_refusal_reaches_its_client_and_no_other_handler(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)
    yes = an_event("user.create")
    no = an_event("user.create", user={"id": yes["user"]["id"], "email": "no@example.com"})
    wait_until(lambda: stack.deliver(yes).status_code == 200, "a worker lives")

    response = stack.deliver(no)

    assert (response.status_code, response.json()["exception"]) == (422, "[rejected] not you")
    wait_until(lambda: stack.open_events() == 0)
    assert sorted(stack.effects()) == sorted([f"done {yes['id']}", f"told {yes['id']}", f"done {no['id']}"])


def test_each_thread_decides_and_a_stop_waits_for_all_of_them(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest(**LONG)
    worker = stack.start_worker("--threads", "4", **LONG)
    wait_until(lambda: stack.deliver(an_event("user.create")).status_code == 200, "a worker lives")
    before = len(stack.effects())

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(stack.deliver, slow(2)) for _ in range(4)]
        wait_until(lambda: len([line for line in stack.effects()[before:] if line.startswith("done")]) == 4, "all run")
        worker.terminate()
        assert [answer.result().status_code for answer in answers] == [200] * 4

    assert worker.wait(10) == 0
    assert stack.deliver(an_event("user.create")).status_code == 503


@pytest.mark.chaos
def test_a_handler_that_cannot_be_stopped_costs_its_process_and_is_an_orphan(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker("--queue", "transactional", **TRANSACTIONAL)
    stack.start_worker("--queue", "events", **TRANSACTIONAL)
    wait_until(lambda: stack.deliver(an_event("user.create")).status_code == 200, "a worker lives")
    stuck = slow(600)

    assert stack.deliver(stuck).status_code == 504
    assert stack.deliver(an_event("user.create")).status_code == 200  # by another thread

    wait_until(lambda: "worker process killed, handler does not stop" in stack.logged(), "it is killed", seconds=20)
    wait_until(lambda: f"undone {stuck['id']}" in stack.effects(), "its effect is undone", seconds=30)
    assert stack.deliver(an_event("user.create")).status_code == 200
    with stack.redis() as store:
        assert texts(store.zrange(KEYS.orphans, 0, -1)) == [stuck["id"]]
        assert is_balanced(store)


def test_handlers_and_settings_that_disagree_stop_the_worker_with_a_sentence(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)

    ran = stack.run("worker")

    assert ran.returncode == 2
    assert "SUREHOOK_TRANSACTIONAL_EVENTS does not list it" in ran.stderr


def test_ingest_and_workers_that_disagree_say_what_to_change(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest(SUREHOOK_TRANSACTIONAL_EVENTS="user.create,user.update")
    stack.start_worker(**TRANSACTIONAL)

    wait_until(lambda: stack.logged().count("set it to the same for both") >= 2, "both say so")
    assert '"ingest_has": "user.create,user.update"' in stack.logged()
