"""A machine that sleeps in a transactional handler, and has its effect after others have undone it."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from tests.support.ledger import is_balanced

Build = Callable[..., Stack]
KEYS = Keys()
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}
HANDLERS = """
def undo(event): effect("undone", event.id)

@on("user.create", name="check", transactional=True, on_abandoned=undo)
def check(event):
    if event.user.email != "sleeps@example.com":
        return
    effect("begun", event.id)
    is_done = False
    while True:
        try:
            time.sleep(0.01)
            if os.path.exists("awake") and not is_done:
                effect("done", event.id)  # an interruption in here leaves it to the next round
                is_done = True
        except BaseException:
            pass
"""


@pytest.mark.chaos
def test_an_effect_after_the_sleep_is_undone_when_the_process_is_killed(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest(**TRANSACTIONAL)
    supervisor = stack.start_worker("--queue", "transactional", **TRANSACTIONAL)
    wait_until(lambda: stack.deliver(an_event("user.create")).status_code == 200, "a worker lives")
    pids = stack.worker_pids()
    event = an_event("user.create", user={"id": an_event("user.create")["user"]["id"], "email": "sleeps@example.com"})

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stack.deliver, event)
        wait_until(lambda: f"begun {event['id']}" in stack.effects(), "its handler runs")
        for pid in (supervisor.pid, *pids):
            os.kill(pid, signal.SIGSTOP)
        assert answer.result().status_code == 504
    stack.start_worker(SUREHOOK_WORKER_METRICS_BIND="off", **TRANSACTIONAL)
    wait_until(lambda: stack.effects().count(f"undone {event['id']}") == 1, "it is presumed dead and undone")
    wait_until(lambda: stack.open_events() == 0)

    (stack.folder / "awake").touch()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: f"done {event['id']}" in stack.effects(), "the effect")
    supervisor.send_signal(signal.SIGCONT)

    wait_until(lambda: "worker process killed, handler does not stop" in stack.logged(), "it is killed")
    wait_until(lambda: stack.effects()[-1] == f"undone {event['id']}", "it is undone after its effect")
    wait_until(lambda: stack.open_events() == 0)
    with stack.redis() as store:
        assert texts(store.zrange(KEYS.orphans, 0, -1)) == [event["id"]]
        assert is_balanced(store)
