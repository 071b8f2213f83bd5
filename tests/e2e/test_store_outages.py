"""P8 where it is the store that has no room or no time: refused at once, and what was acknowledged is there."""

import json
import resource
import signal
import time
from contextlib import ExitStack

import pytest

from harness.events import an_event
from harness.processes import resident_bytes
from harness.stack import Stack, wait_until
from tests.support.flood import (
    FLAT_BYTES,
    FLOOD,
    MEBIBYTE,
    MOST_BYTES,
    MOST_PENDING,
    a_large_body,
    send,
)
from tests.support.ledger import ledger
from tests.support.metrics import refusals
from tests.support.raw_http import a_request, connect, status_of

# About a second, which is less than FusionAuth waits, and room for a busy machine.
ANSWERED_SECONDS = 5.0


@pytest.fixture
def stack(bounded_stack: Stack) -> Stack:
    return bounded_stack


def test_a_stuck_store_under_a_flood_does_not_fill_the_memory(stack: Stack) -> None:
    body = a_large_body(MEBIBYTE // 2)
    request = a_request(f"Content-Length: {len(body)}", body=body)
    memory = resident_bytes(stack.processes[0].pid)

    stack.server.send_signal(signal.SIGSTOP)
    try:
        statuses = [status_of(send(stack, request)) for _ in range(FLOOD)]
    finally:
        stack.server.send_signal(signal.SIGCONT)

    assert set(statuses) == {503}
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES
    wait_until(stack.is_ready)


@pytest.mark.parametrize("is_merely_slow", [False, True], ids=["stuck", "slow"])
def test_a_flood_on_a_store_that_is_not_quick_is_held_to_the_bound_and_all_are_answered(
    stack: Stack, *, is_merely_slow: bool
) -> None:
    before, memory = refusals(stack, "too_many_pending"), resident_bytes(stack.processes[0].pid)
    with ExitStack() as exit_stack:
        connections = [exit_stack.enter_context(connect(stack.port)) for _ in range(2 * MOST_PENDING)]
        stack.server.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for connection in connections:
                body = a_large_body(MOST_BYTES // MOST_PENDING // 2)
                connection.sendall(a_request(f"Content-Length: {len(body)}", body=body))
            wait_until(lambda: refusals(stack, "too_many_pending") > before, "the bound is reached")
            if is_merely_slow:
                stack.server.send_signal(signal.SIGCONT)
            answers = [connection.recv(65536) for connection in connections]
            seconds = time.monotonic() - began
        finally:
            stack.server.send_signal(signal.SIGCONT)

    accepted = [answer for answer in answers if status_of(answer) == 202]
    refused = [answer for answer in answers if status_of(answer) == 503]
    assert len(accepted) + len(refused) == len(answers)
    assert all(b"retry-after: 5" in answer.lower() for answer in refused)
    assert len(refused) == len(answers) or is_merely_slow
    assert refusals(stack, "too_many_pending") - before <= MOST_PENDING
    assert seconds < ANSWERED_SECONDS
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES
    wait_until(stack.is_ready)
    with stack.redis() as store:
        assert int(store.hget("surehook:ledger", "accepted") or 0) >= len(accepted)


def test_a_store_out_of_memory_refuses_and_keeps_what_it_had(stack: Stack) -> None:
    before = refusals(stack, "store_full")
    with stack.redis() as store:
        store.config_set("maxmemory", store.info("memory")["used_memory"] + MEBIBYTE // 2)
        try:
            answers = [stack.deliver(an_event(note="n" * 8192)).status_code for _ in range(FLOOD)]
        finally:
            store.config_set("maxmemory", 0)
        accepted = answers.count(202)

        assert set(answers) == {202, 503}
        assert refusals(stack, "store_full") == before + FLOOD - accepted
        assert ledger(store) == {"open": accepted, "accepted": accepted}
    assert stack.deliver().status_code == 202


def test_a_full_disk_loses_nothing_that_was_acknowledged(stack: Stack) -> None:
    accepted = {an_id for an_id in (deliver_some(stack) for _ in range(20)) if an_id}
    file_size = max(file.stat().st_size for file in (stack.data / "appendonlydir").iterdir())

    # The store's files may grow by so much and no more: a write is cut in the middle, as on a full disk.
    resource.prlimit(stack.server.pid, resource.RLIMIT_FSIZE, (file_size + 100_000, -1))
    accepted |= {an_id for an_id in (deliver_some(stack) for _ in range(FLOOD)) if an_id}
    wait_until(lambda: stack.server.poll() is not None, "a store that cannot write does not go on")
    assert stack.deliver().status_code == 503
    stack.restart_store()
    wait_until(stack.is_ready)

    assert 20 < len(accepted) < FLOOD
    with stack.redis() as store:
        found = {an_id.decode() for an_id in store.zrange("surehook:open", 0, -1)}
    assert accepted <= found


def deliver_some(stack: Stack) -> str | None:
    answer = stack.deliver()
    return str(json.loads(answer.content)["eventId"]) if answer.status_code == 202 else None
