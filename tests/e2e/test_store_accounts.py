"""The accounts of docs/operations.md can do all that Surehook does, and an account that cannot says what it lacks."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.main import cli
from surehook.shared.embedded import socket_path
from tests.support.accounts import create_account
from tests.support.ledger import is_balanced

Build = Callable[..., Stack]
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}
HANDLERS = """
from surehook import Reject

@on("user.delete", name="ordinary")
def ordinary(event): effect(event.id)

@on("user.update", name="again", retries=2)
def again(event, attempt):
    if attempt.number == 1: raise RetryLater(0.1)
    effect(event.id)

@on("user.login.failed", name="broken")
def broken(event):
    if not os.path.exists("repaired"): raise Permanent("not yet")
    effect(event.id)

@on("user.login.success", name="stuck")
def stuck(event):
    effect("began", event.id)
    while not os.path.exists("go"): time.sleep(0.02)

@on("user.create", name="decides", transactional=True)
def decides(event):
    if event.user.email.startswith("no"): raise Reject("not you")
    effect(event.id)
"""


def account(stack: Stack, name: str, *changes: str) -> dict[str, str]:
    """Creates an account of the docs, with changes; returns the setting that logs in with it."""
    with stack.redis() as store:
        create_account(store, name, "secret", *changes)
    return {"SUREHOOK_REDIS_URL": url(stack.data, name)}


def url(data: Path, name: str) -> str:
    return f"unix://{name}:secret@{socket_path(data)}"


def worker_readiness(stack: Stack) -> str:
    return stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/readyz").text


def command(*arguments: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert (arguments, result.exit_code, result.exception) == (arguments, 0, None)


@pytest.mark.chaos
def test_the_documented_accounts_can_do_everything(build_stack: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = build_stack(HANDLERS)
    monkeypatch.setenv("SUREHOOK_REDIS_URL", account(stack, "surehook-operator")["SUREHOOK_REDIS_URL"])
    stack.start_ingest(**TRANSACTIONAL, **account(stack, "surehook-ingest"))
    worker = stack.start_worker(**TRANSACTIONAL, **account(stack, "surehook-worker"))
    events = [an_event(name) for name in ("user.delete", "user.update", "user.create", "user.login.failed")]
    stuck, lost = an_event("user.login.success"), an_event("user.delete")

    wait_until(lambda: stack.deliver(an_event("user.create")).status_code == 200, "a worker is available")
    assert [stack.deliver(event).status_code for event in events] == [202, 202, 200, 202]
    assert stack.deliver(an_event("user.create", user={"email": "no@example.com"})).status_code == 422
    with stack.redis() as store:
        wait_until(lambda: {event["id"] for event in events[:3]} <= set(stack.effects()), "they run")
        wait_until(lambda: store.zcard("rq:failed:events") == 1, "a dead letter")
        (stack.folder / "repaired").touch()
        command("dead-letters", "list")
        command("dead-letters", "replay", events[3]["id"])
        wait_until(lambda: events[3]["id"] in stack.effects(), "the dead letter runs again")
        stack.deliver(stuck)
        wait_until(lambda: f"began {stuck['id']}" in stack.effects(), "it runs")
        for pid in stack.worker_pids():
            os.kill(pid, signal.SIGKILL)
        (stack.folder / "go").touch()
        wait_until(lambda: stack.effects().count(f"began {stuck['id']}") == 2, "its parent gave it back")
        command("queues", "pause", "events")
        stack.deliver(lost)
        store.delete("rq:queue:events", f"rq:job:{lost['id']}")
        wait_until(lambda: lost["id"].encode() in store.lrange("rq:queue:events", 0, -1), "the sweep finds it")
        command("queues", "resume", "events")
        wait_until(lambda: lost["id"] in stack.effects(), "it runs")
        wait_until(lambda: is_balanced(store) and stack.open_events() == 0, "all are done")
    for words in ("ledger", "queues list", "events list", "events list --state orphaned"):
        command(*words.split())
    for verb in ("show", "replay", "erase"):
        command("events", verb, lost["id"])
    assert "surehook_open_events" in stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/metrics").text
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert "refuses" not in stack.logged()


@pytest.mark.chaos
def test_the_operators_account_is_enough_for_the_dashboard(build_stack: Build) -> None:
    stack = build_stack()
    base = f"http://127.0.0.1:{stack.dashboard_port}"
    stack.surehook("dashboard", **account(stack, "surehook-operator"))

    def status(path: str) -> int:
        try:
            return stack.client.get(f"{base}{path}").status_code
        except httpx.TransportError:
            return 0

    wait_until(lambda: status("/") == 200, "it listens")
    assert [status(path) for path in ("/rq/0/data/queues.json", "/rq/0/data/workers.json")] == [200, 200]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param(("-xadd", "-blmove"), "may not use BLMOVE, XADD", id="commands"),
        pytest.param(("resetkeys", "~surehook:*"), "may not use the keys rq:*", id="keys"),
        pytest.param(("-eval",), "may not use EVAL", id="scripts", marks=pytest.mark.chaos),
        pytest.param(("resetpass", ">other"), "check user and password", id="login", marks=pytest.mark.chaos),
    ],
)
def test_a_worker_whose_account_lacks_a_right_does_not_start_and_says_which(
    changes: tuple[str, ...], named: str, build_stack: Build
) -> None:
    stack = build_stack(HANDLERS)

    ended = stack.run("worker", **TRANSACTIONAL, **account(stack, "surehook-worker", *changes))

    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_endpoint_whose_account_lacks_a_right_is_not_ready_until_it_has_it(build_stack: Build) -> None:
    stack = build_stack()
    stack.surehook("ingest", SUREHOOK_SPOOL_DIR="off", **account(stack, "surehook-ingest", "-config|get"))
    wait_until(lambda: "CONFIG GET" in stack.logged(), "it says what it needs")
    assert "trusted" not in stack.logged()  # that would switch the check off
    account(stack, "surehook-ingest", "-blmpop", "-ZADD")
    wait_until(lambda: "may not use BLMPOP, ZADD" in stack.logged(), "it says what it needs now")
    assert not stack.is_ready()

    account(stack, "surehook-ingest")

    wait_until(stack.is_ready, "it goes on by itself")
    assert stack.deliver().status_code == 202


def test_a_right_taken_from_a_running_worker_is_logged_once_and_makes_it_not_ready(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    worker = account(stack, "surehook-worker")
    stack.start_worker("--queue", "events", **worker)
    wait_until(stack.worker_pids, "it runs")

    account(stack, "surehook-worker", "-zrangebyscore")

    wait_until(lambda: "store_refuses" in worker_readiness(stack), "it is not ready")
    wait_until(lambda: "store refuses a command" in stack.logged(), "it says why")
    lines = [line for line in stack.logged().splitlines() if "store refuses a command" in line]
    assert 1 <= len(lines) <= 2  # the parent and its child
    assert all('"level": "ERROR"' in line and '"command": "ZRANGEBYSCORE"' in line for line in lines)
    account(stack, "surehook-worker")
    wait_until(lambda: '"ready"' in worker_readiness(stack), "it goes on")
    event_id = stack.deliver(an_event("user.delete")).json()["eventId"]
    wait_until(lambda: event_id in stack.effects(), "it handles events")


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        pytest.param(("-eval", "-evalsha"), ("ledger",), "may not use EVALSHA", id="a script"),
        pytest.param(("-smembers",), ("queues", "list"), "may not use SMEMBERS", id="within a script"),
        pytest.param(("resetkeys",), ("ledger",), "may not use all keys", id="keys"),
        pytest.param(("off",), ("ledger",), "check user and password", id="login"),
    ],
)
def test_a_command_says_what_the_store_refused(
    changes: tuple[str, ...], arguments: tuple[str, ...], said: str, build_stack: Build
) -> None:
    stack = build_stack()

    ended = stack.run(*arguments, **account(stack, "surehook-operator", *changes))

    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "does not answer" not in ended.stderr


@pytest.mark.chaos
def test_a_dead_machines_events_come_back_with_an_account_without_dangerous_commands(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    with stack.redis() as store:
        store.execute_command("ACL", "SETUSER", "managed", "on", ">secret", "~*", "+@all", "-@dangerous")
    managed = {"SUREHOOK_REDIS_URL": url(stack.data, "managed"), "SUREHOOK_DURABILITY": "trusted"}
    stack.start_ingest(**managed)
    machine = stack.start_worker("--queue", "events", **managed)
    event = an_event("user.login.success")
    stack.deliver(event)
    wait_until(lambda: f"began {event['id']}" in stack.effects(), "it runs")
    (child,) = stack.worker_pids()
    stack.start_worker("--queue", "events", SUREHOOK_WORKER_METRICS_BIND="off", **managed)
    wait_until(lambda: len(stack.worker_pids()) == 2, "another machine is there")

    machine.kill()
    os.kill(child, signal.SIGKILL)
    (stack.folder / "go").touch()

    wait_until(lambda: stack.effects().count(f"began {event['id']}") == 2, "the other took it", seconds=60)
