"""`surehook ingest --processes N`: several processes on one address, each replaceable without an outage."""

import json
import os
import shutil
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from harness.events import a_body
from harness.processes import children_of, has_ended
from harness.stack import API_KEY, Stack, wait_until
from tests.support.ledger import ledger
from tests.support.raw_http import a_request, connect, status_of

Build = Callable[..., Stack]
ROOT = Path(__file__).parents[2]
SENDERS = 4
HEADERS = {"Authorization": API_KEY, "Content-Type": "application/json"}


class Traffic:
    """The clients' results: statuses, and connections that were refused or reset."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.seen: Counter[str] = Counter()
        self._is_over = threading.Event()

    def total(self) -> int:
        return sum(self.seen.values())

    def send_on_kept_connections(self) -> None:
        with httpx.Client(timeout=10, trust_env=False, headers=HEADERS) as client:
            while not self._is_over.is_set():
                self._count(lambda: client.post(self._stack.url, content=a_body()).status_code)

    def send_on_fresh_connections(self) -> None:
        while not self._is_over.is_set():
            self._count(self._deliver_once)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=target)
            for target in (self.send_on_kept_connections, self.send_on_fresh_connections)
            for _ in range(SENDERS // 2)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _deliver_once(self) -> int:
        body = a_body()
        with connect(self._stack.port) as connection:
            connection.sendall(a_request(f"Content-Length: {len(body)}", body=body))
            return status_of(connection.recv(65536))

    def _count(self, deliver: Callable[[], int]) -> None:
        try:
            self.seen[str(deliver())] += 1
        except (httpx.TransportError, OSError) as exc:
            self.seen[type(exc).__name__] += 1


def start(stack: Stack, processes: int) -> "tuple[int, list[int]]":
    parent = stack.surehook("ingest", "--processes", str(processes))
    wait_until(stack.is_ready, "ingest is ready")
    wait_until(lambda: stack.logged().count("store ready") == processes, "all are there")
    return parent.pid, children_of(parent.pid)


def test_a_reload_under_load_refuses_no_connection(build_stack: Build) -> None:
    stack = build_stack()
    parent, old = start(stack, 2)
    traffic = Traffic(stack)

    with traffic.flowing():
        for _ in range(2):
            wait_until(lambda: traffic.total() > 50, "events flow")
            before = children_of(parent)
            os.kill(parent, signal.SIGHUP)
            wait_until(lambda: not set(before) & set(children_of(parent)), "the old ones are gone")  # noqa: B023 - at once
            seen = traffic.total()
            wait_until(lambda: traffic.total() > seen + 50, "events flow through the new ones")  # noqa: B023 - at once

    assert set(traffic.seen) == {"202"}
    assert not set(old) & set(children_of(parent))
    with stack.redis() as store:
        assert ledger(store)["accepted"] == traffic.seen["202"]


def test_replaced_processes_and_a_killed_parent_leave_no_files(build_stack: Build) -> None:
    stack = build_stack()
    parent, old = start(stack, 2)
    assert stack.deliver().status_code == 202
    (folder,) = stack.folder.glob("surehook-ingest-*")

    os.kill(parent, signal.SIGHUP)
    wait_until(lambda: not set(old) & set(children_of(parent)), "they are replaced")

    wait_until(lambda: not [pid for pid in old if list(folder.glob(f"*_{pid}.db"))], "their files are gone")
    assert 'surehook_events_accepted_total{type="user.delete"} 1.0' in metrics_of(stack)
    orphaned = children_of(parent)
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: all(map(has_ended, orphaned)), "its processes have ended")
    stack.surehook("ingest", "--processes", "2")
    wait_until(stack.is_ready, "another serves")
    assert folder not in list(stack.folder.glob("surehook-ingest-*"))


def test_a_reload_brings_new_code_and_new_settings(build_stack: Build) -> None:
    stack = build_stack()
    shutil.copytree(ROOT / "surehook", stack.folder / "code" / "surehook")  # the links become folders
    answers = stack.folder / "code" / "surehook" / "ingest" / "responses.py"
    stack.environ["PYTHONPATH"] = str(stack.folder / "code")
    parent, old = start(stack, 2)
    assert stack.deliver().json()["status"] == "accepted"

    answers.write_text(answers.read_text().replace('"status":"accepted"', '"status":"taken"'))
    (stack.folder / ".env").write_text("SUREHOOK_REQUIRED_HEADER=X-New: setting\n")
    os.kill(parent, signal.SIGHUP)
    wait_until(lambda: "ingest process replacement completed" in stack.logged(), "they are replaced")
    wait_until(lambda: not set(old) & set(children_of(parent)), "the old ones are gone")

    assert stack.deliver().status_code == 401
    stack.client.headers["X-New"] = "setting"
    assert stack.deliver().json()["status"] == "taken"


def test_the_ingest_supervisor_replaces_a_dead_process_and_survives_a_failed_reload(build_stack: Build) -> None:
    stack = build_stack()
    parent, (first, second) = start(stack, 2)

    os.kill(first, signal.SIGKILL)
    answers = [stack.deliver().status_code for _ in range(20)]
    wait_until(lambda: len(children_of(parent)) == 2 and first not in children_of(parent), "it is replaced")
    wait_until(lambda: stack.logged().count("store ready") == 3, "the new one serves")
    answers += [stack.deliver().status_code for _ in range(20)]

    assert answers == [202] * 40
    assert second in children_of(parent)
    wait_until(
        lambda: 'surehook_events_accepted_total{type="user.delete"} 40.0' in metrics_of(stack), "they are summed"
    )
    assert "surehook_ingest_process_deaths_total 1.0" in metrics_of(stack)
    assert "surehook_accept_batch_size_sum 40.0" in metrics_of(stack)
    assert "process_resident_memory_bytes " in metrics_of(stack)
    assert 'surehook_not_ready{reason="store_unavailable"} 0.0' in metrics_of(stack)
    # Each process counts them now and then; one may have looked in the middle of a request.
    wait_until(lambda: "surehook_pending_requests 0.0" in metrics_of(stack), "nothing is pending")
    children = children_of(parent)
    (stack.folder / ".env").write_text("SUREHOOK_MAX_PENDING=many\n")
    os.kill(parent, signal.SIGHUP)
    wait_until(lambda: "ingest process replacement failed" in stack.logged())
    wait_until(lambda: children_of(parent) == children, "those that did not come up are gone")
    assert stack.deliver().status_code == 202
    os.kill(parent, signal.SIGTERM)
    assert stack.processes[-1].wait(20) == 0
    assert all(map(has_ended, children))
    socket.create_server(("127.0.0.1", stack.port)).close()


def test_killing_the_parent_stops_its_processes(build_stack: Build) -> None:
    stack = build_stack()
    parent, children = start(stack, 2)

    os.kill(parent, signal.SIGKILL)

    wait_until(lambda: all(map(has_ended, children)), "they are gone")


def test_an_error_common_to_all_processes_stops_the_parent_with_a_sentence(build_stack: Build) -> None:
    stack = build_stack()
    stack.environ.pop("SUREHOOK_API_KEYS")

    ended = stack.run("ingest", "--processes", "2")

    assert ended.returncode == 2
    assert "SUREHOOK_API_KEYS is not set" in ended.stderr


def metrics_of(stack: Stack) -> str:
    return stack.client.get(f"http://127.0.0.1:{stack.metrics_port}/metrics").text


def test_processes_that_die_at_their_start_are_not_started_without_pause(build_stack: Build) -> None:
    stack = build_stack()
    _, (first, second) = start(stack, 2)
    (stack.folder / ".env").write_text("SUREHOOK_MAX_PENDING=many\n")

    os.kill(first, signal.SIGKILL)
    for count in range(1, 4):
        wait_until(lambda: stack.logged().count("ingest process died") == count, "another one dies")  # noqa: B023 - at once
        assert stack.deliver().status_code == 202
    (stack.folder / ".env").unlink()
    wait_until(lambda: stack.logged().count("store ready") == 3, "the next one serves")

    died = [json.loads(line) for line in stack.logged().splitlines() if "ingest process died" in line]
    _, second_at, third_at = (datetime.fromisoformat(line["at"]) for line in died)
    assert (third_at - second_at).total_seconds() > 2
    assert not has_ended(second)


@pytest.mark.parametrize("processes", [pytest.param((), id="one"), pytest.param(("--processes", "2"), id="several")])
def test_an_address_that_is_taken_is_told_in_a_sentence(build_stack: Build, processes: tuple[str, ...]) -> None:
    stack = build_stack()
    with socket.create_server(("127.0.0.1", stack.port)):
        ended = stack.run("ingest", *processes)

    assert ended.returncode == 2
    assert f"SUREHOOK_BIND=127.0.0.1:{stack.port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
