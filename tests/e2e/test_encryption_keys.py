"""Encryption with real processes: a missing key, keys that change while events wait, erasing running events."""

import os
import signal
from collections.abc import Callable

import httpx
from cryptography.fernet import Fernet

from harness.events import USER_ID, an_event
from harness.stack import Stack, wait_until
from surehook.shared.encryption import fingerprint
from tests.support.ledger import is_balanced, ledger
from tests.support.store_dump import contents

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
RECORD = """
@on("user.delete", name="record", retries=0)
def record(event): effect(event.user.email)

@on("user.update", name="slow", retries=0)
def slow(event):
    effect("began")
    while not os.path.exists("go"): time.sleep(0.01)
"""
EMAIL = "mara.lindqvist@example.com"
Build = Callable[..., Stack]


def worker_readiness(stack: Stack) -> int:
    try:
        return stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/readyz").status_code
    except httpx.TransportError:
        return 0


def worker_metrics(stack: Stack) -> str:
    return stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/metrics").text


def test_a_worker_without_the_key_logs_which_and_delays_no_other(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest(SUREHOOK_ENCRYPTION_KEYS=NEW)
    stack.start_worker(SUREHOOK_ENCRYPTION_KEYS=OLD)
    wait_until(lambda: worker_readiness(stack) == 200, "nothing is missed yet")
    for _ in range(3):
        assert stack.deliver().status_code == 202

    wait_until(lambda: worker_readiness(stack) == 503, "red")
    assert f'"key_id": "{fingerprint(NEW)}"' in stack.logged()
    assert 'surehook_worker_not_ready{reason="key_missing"} 1.0' in worker_metrics(stack)
    with stack.redis() as store:
        wait_until(lambda: store.llen("rq:queue:events") == 3, "it was given back")
        assert ledger(store) == {"open": 3, "accepted": 3}
        stack.start_worker(SUREHOOK_ENCRYPTION_KEYS=f"{NEW},{OLD}", SUREHOOK_WORKER_METRICS_BIND="off")
        for _ in range(20):
            stack.deliver()

        wait_until(lambda: stack.effects() == [EMAIL] * 23, "the one that has the key handles all")
        wait_until(lambda: ledger(store) == {"open": 0, "accepted": 23, "done": 23})
    assert worker_readiness(stack) == 503
    assert stack.logged().count("encryption key missing") < 10
    assert NEW not in stack.logged()


def test_keys_change_while_endpoint_and_workers_run(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest(SUREHOOK_ENCRYPTION_KEYS=OLD)
    for _ in range(40):
        stack.deliver()
    both = f"{NEW},{OLD}"

    killed = stack.surehook("keys", "rotate", "--rate", "50", SUREHOOK_ENCRYPTION_KEYS=both)
    with stack.redis() as store:
        wait_until(
            lambda: any(store.hget(key, "key_id") == fingerprint(NEW).encode() for key in store.scan_iter("*:event:*")),
            "it is half-way",
        )
    killed.kill()
    killed.wait()
    for _ in range(5):
        stack.deliver()
    stack.start_worker(SUREHOOK_ENCRYPTION_KEYS=both)
    rotated = stack.run("keys", "rotate", SUREHOOK_ENCRYPTION_KEYS=both)

    assert rotated.returncode == 0, rotated.stderr
    count = int(rotated.stdout.split()[0])
    assert 5 <= count < 45
    assert rotated.stdout.endswith(f"{45 - count} need no change\n")
    assert rotated.stderr == ""  # quiet in a pipe
    wait_until(lambda: stack.effects() == [EMAIL] * 45, "every event is handled, once")
    wait_until(lambda: stack.open_events() == 0)


def test_a_running_event_is_erased_when_it_ends_or_its_process_is_killed(build_stack: Build) -> None:
    stack = build_stack(RECORD)
    stack.start_ingest()
    stack.start_worker("--processes", "2", "--threads", "1")
    for _ in range(2):
        stack.deliver(an_event("user.update"))
    wait_until(lambda: stack.effects() == ["began"] * 2, "both run")

    erased = stack.run("events", "erase", "--user", USER_ID)
    assert "2 still running" in erased.stdout
    os.kill(stack.worker_pids()[0], signal.SIGKILL)
    with stack.redis() as store:
        wait_until(lambda: ledger(store).get("erased") == 1, "the killed one's is erased")
        (stack.folder / "go").touch()
        wait_until(lambda: ledger(store) == {"open": 0, "accepted": 2, "erased": 2}, "and the other's")
        assert is_balanced(store)
        assert all(b"mara" not in contents(store, key) for key in store.scan_iter())
    assert stack.effects() == ["began"] * 2
    assert stack.run("events", "erase", "--user", USER_ID).stdout.startswith("0 events erased")
