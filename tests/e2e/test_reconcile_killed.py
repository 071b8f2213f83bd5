"""`surehook reconcile` may be killed at any point, and the next run goes on: each event takes effect once."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness.stack import API_KEY, Stack, wait_until
from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer
from surehook.fusionauth.simulator.event_log import Search
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys
from tests.support.held_link import HeldLink, held_link_to
from tests.support.simulated_fusionauth import GLOBAL_KEY, a_tenant, a_webhook, an_event

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

KEYS = Keys()
RECONCILE = ("reconcile", "--rate", "1000", "--json")
TERMINATED = 143
HANDLERS = """
from surehook import Reject

@on("user.create", transactional=True)
def decides(event):
    if not os.path.exists("agreed"):
        raise Reject("not now")
    effect(event.id)

@on("user.create.complete")
def follows(event):
    effect(event.id)
"""
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}


def writes(field: str) -> bytes:
    """Returns the part of a command that writes a field of what reconciling keeps."""
    key = KEYS.reconciled.encode()
    return b"$4\r\nHSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(field), field.encode())


class World:
    """A FusionAuth that fired two minutes ago, and a receiver that got nothing."""

    def __init__(self, stack: Stack, link: HeldLink, api: ExitStack) -> None:
        self.stack, self.link, self.age_ms = stack, link, 0
        self.instance = Instance(now_ms=lambda: int(time.time() * 1000) - self.age_ms)
        self.instance.add_api_key(GLOBAL_KEY)
        self.instance.save_tenant(a_tenant(), TENANT_ID)
        hook = a_webhook(url=stack.url, headers={"Authorization": API_KEY}, readTimeout=10_000)
        self.instance.save_webhook(hook)
        server = api.enter_context(ApiServer(self.instance))
        self.environ = {"SUREHOOK_FUSIONAUTH_URL": server.url, "SUREHOOK_FUSIONAUTH_API_KEY": GLOBAL_KEY}
        self.environ |= {"SUREHOOK_REDIS_URL": f"redis://127.0.0.1:{link.port}", **TRANSACTIONAL}
        self.fired: list[str] = []
        self.searching, self.searched = threading.Event(), threading.Event()
        self._search = self.instance.log.search

    def fire(self, event_type: str = "user.create.complete", fault: Fault | None = Fault.NOT_SENT) -> str:
        event = an_event(len(self.fired) + 1, event_type)
        deliverer = Deliverer(self.instance, fault_of=lambda *_: fault)
        self.age_ms = 120_000
        status = deliverer.fire(event).attempts[0].response.status
        self.age_ms = 0
        deliverer.close()
        assert status == (-1 if fault else 422)
        self.fired.append(str(event["id"]))
        return self.fired[-1]

    def hold_search(self) -> None:
        def search(criteria: Search) -> dict[str, Any]:
            self.searching.set()
            self.searched.wait(30)
            return self._search(criteria)

        self.instance.log.search = search  # type: ignore[method-assign, assignment] # where the run is stopped

    def release_search(self) -> None:
        self.instance.log.search = self._search  # type: ignore[method-assign]
        self.searched.set()

    def start(self) -> "subprocess.Popen[bytes]":
        return self.stack.surehook(*RECONCILE, **self.environ)

    def run(self, **more: str) -> tuple[int, str]:
        ran = self.stack.run(*RECONCILE, **self.environ | more)
        return ran.returncode, ran.stdout + ran.stderr

    def statement(self) -> dict[str, Any]:
        status, output = self.run()
        assert status == 0, output
        found: dict[str, Any] = json.loads(output)
        return found

    def end_the_lease(self) -> None:
        """Its minute passes."""
        with self.stack.redis() as store:
            left: Any = store.pttl(KEYS.reconcile_lock)
            assert 0 < left <= 60_000
            store.delete(KEYS.reconcile_lock)


@pytest.fixture
def world(build_stack: Callable[..., Stack]) -> Iterator[World]:
    stack = build_stack(HANDLERS)
    with ExitStack() as opened, held_link_to(socket_path(stack.data)) as link:
        yield World(stack, link, opened)


def test_each_event_takes_effect_once_though_runs_are_killed_everywhere(world: World) -> None:
    stack, link = world.stack, world.link
    stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)
    wait_until(lambda: "[unavailable]" not in stack.run("trigger", "user.create", "--transaction", "None").stdout)
    refused = world.fire("user.create", None)  # and FusionAuth goes ahead
    (stack.folder / "agreed").touch()
    points = {
        "before the refused event is run": (f"{refused}\r\n$6\r\nevents\r\n".encode(), False),
        "before events are stored": (b"\r\nreconcile\r\n", False),
        "after events were stored": (b"\r\nreconcile\r\n", True),
        "before the mark is moved": (writes("until"), False),
        "after the mark was moved": (writes("until"), True),
        "before the statement is kept": (writes("statement"), False),
    }
    for point, (text, is_executed) in points.items():
        world.fire()
        world.fire()
        link.hold(text, is_executed=is_executed)
        killed = world.start()
        wait_until(link.is_held.is_set, point)
        killed.kill()
        killed.wait()
        link.release()
        world.end_the_lease()

    statement = world.statement()

    assert statement["arrived"] + statement["recovered"] == statement["fired"] == len(world.fired)
    assert (statement["rolled_back"], statement["complete"]) == (0, True)
    wait_until(lambda: stack.open_events() == 0)
    assert Counter(stack.effects()) == Counter(world.fired)
    assert stack.run("ledger").returncode == 0


def test_a_run_that_is_killed_while_it_reads_the_log_has_changed_nothing(world: World) -> None:
    world.fire()
    world.hold_search()
    killed = world.start()
    wait_until(world.searching.is_set)
    killed.kill()
    killed.wait()
    world.release_search()

    status, output = world.run()

    assert (status, "another `surehook reconcile` runs" in output) == (1, True)
    assert "if it was killed, its place is free in" in output
    world.end_the_lease()
    assert world.statement()["recovered"] == 1


def test_a_second_run_leaves_the_first_alone(world: World) -> None:
    world.fire()
    world.link.hold(b"\r\nreconcile\r\n")
    first = world.start()
    wait_until(world.link.is_held.is_set)

    status, output = world.run(SUREHOOK_REDIS_URL=f"unix://{socket_path(world.stack.data)}")

    assert (status, "another `surehook reconcile` runs" in output) == (1, True)
    assert first.poll() is None
    world.link.release()
    first.terminate()
    assert first.wait(20) == TERMINATED  # and has given its place free
    assert world.statement()["recovered"] == 1
