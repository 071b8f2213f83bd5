"""Two installations and a user's own RQ share one database: each has its keys, its jobs and its tools."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from rq import Queue

from harness.events import an_event
from harness.stack import Stack, free_port, wait_until
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from tests.e2e.test_dashboard import answers

HANDLERS = """
import redis
from rq import Queue

@on("user.delete", name="remind")
def remind(event):
    with redis.Redis(unix_socket_path="data/store.sock") as store:
        Queue("mails", connection=store).enqueue("mails.send")
    effect(event.id)
"""
ONE, TWO = "one", "two"


def keys_of_rq(store: object) -> list[str]:
    return sorted(name for name in texts(store.keys()) if name.startswith("rq:"))  # type: ignore[attr-defined]


def rq_info(stack: Stack, prefix: str) -> str:
    command = [str(Path(sys.executable).with_name("rq")), "info", "--url", f"unix://{socket_path(stack.data)}"]
    environ = {**os.environ, "RQ_KEY_PREFIX": f"{prefix}:rq"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def test_each_installation_runs_its_own_events_and_leaves_other_jobs_alone(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS)
    ports = {ONE: stack.port, TWO: free_port()}
    for prefix, port in ports.items():
        bind = {"SUREHOOK_BIND": f"127.0.0.1:{port}", "SUREHOOK_METRICS_BIND": "off"}
        stack.surehook("ingest", SUREHOOK_KEY_PREFIX=prefix, **bind)
    stack.start_worker(SUREHOOK_KEY_PREFIX=ONE)
    stack.surehook("dashboard", SUREHOOK_KEY_PREFIX=TWO)
    events = {prefix: an_event() for prefix in ports}
    with stack.redis() as store:
        others = Queue("events", connection=store).enqueue("reports.build")

        for prefix, stack.port in ports.items():
            wait_until(stack.is_ready, "ingest is ready")
            assert stack.deliver(events[prefix]).status_code == 202
        wait_until(lambda: stack.effects() == [events[ONE]["id"]], "the worker runs its own event")
        wait_until(lambda: store.zcard(Keys(ONE).open) == 0, "its event is closed")

        mails = Queue("mails", connection=store)
        assert keys_of_rq(store) == sorted(
            ["rq:queues", "rq:queue:events", "rq:queue:mails", f"rq:job:{others.id}", f"rq:job:{mails.job_ids[0]}"]
        )
        assert {name.partition(":")[0] for name in texts(store.keys())} == {ONE, TWO, "rq"}
        assert texts(store.lrange(Keys(TWO).rq_queue("events"), 0, -1)) == [events[TWO]["id"]]
    assert "events       | 0, 0 executing, 1 finished, 0 failed" in rq_info(stack, ONE)
    assert "events       |█ 1, 0 executing, 0 finished, 0 failed" in rq_info(stack, TWO)
    dashboard = f"http://127.0.0.1:{stack.dashboard_port}"
    wait_until(lambda: answers(dashboard), "the dashboard answers")
    assert events[TWO]["id"] in httpx.get(f"{dashboard}/rq/0/data/jobs/events/queued/8/asc/1.json").text
    shown = stack.run("queues", "list", SUREHOOK_KEY_PREFIX=TWO).stdout
    assert "events" in shown
    assert "ERROR" not in stack.logged()
