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
    exchange,
)
from tests.support.ledger import ledger
from tests.support.metrics import refusals
from tests.support.raw_http import a_request, connect, status_of

# About a second, which is less than FusionAuth waits, and room for a busy machine.
ANSWERED_SECONDS = 5.0


@pytest.fixture
def house(bounded_house: Stack) -> Stack:
    return bounded_house


def test_a_stuck_store_under_a_flood_does_not_fill_the_memory(house: Stack) -> None:
    body = a_large_body(MEBIBYTE // 2)
    request = a_request(f"Content-Length: {len(body)}", body=body)
    memory = resident_bytes(house.processes[0].pid)

    house.server.send_signal(signal.SIGSTOP)
    try:
        statuses = [status_of(exchange(house, request)) for _ in range(FLOOD)]
    finally:
        house.server.send_signal(signal.SIGCONT)

    assert set(statuses) == {503}
    assert resident_bytes(house.processes[0].pid) - memory < FLAT_BYTES
    wait_until(house.is_ready)


@pytest.mark.parametrize("is_merely_slow", [False, True], ids=["stuck", "slow"])
def test_a_flood_on_a_store_that_is_not_quick_is_held_to_the_bound_and_all_are_answered(
    house: Stack, *, is_merely_slow: bool
) -> None:
    before, memory = refusals(house, "too_many_pending"), resident_bytes(house.processes[0].pid)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(house.port)) for _ in range(2 * MOST_PENDING)]
        house.server.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for connection in connections:
                body = a_large_body(MOST_BYTES // MOST_PENDING // 2)
                connection.sendall(a_request(f"Content-Length: {len(body)}", body=body))
            wait_until(lambda: refusals(house, "too_many_pending") > before, "the bound is reached")
            if is_merely_slow:
                house.server.send_signal(signal.SIGCONT)
            answers = [connection.recv(65536) for connection in connections]
            seconds = time.monotonic() - began
        finally:
            house.server.send_signal(signal.SIGCONT)

    accepted = [answer for answer in answers if status_of(answer) == 202]
    refused = [answer for answer in answers if status_of(answer) == 503]
    assert len(accepted) + len(refused) == len(answers)
    assert all(b"retry-after: 5" in answer.lower() for answer in refused)
    assert len(refused) == len(answers) or is_merely_slow
    assert refusals(house, "too_many_pending") - before <= MOST_PENDING
    assert seconds < ANSWERED_SECONDS
    assert resident_bytes(house.processes[0].pid) - memory < FLAT_BYTES
    wait_until(house.is_ready)
    with house.redis() as store:
        assert int(store.hget("surehook:ledger", "accepted") or 0) >= len(accepted)


def test_a_store_out_of_memory_refuses_and_keeps_what_it_had(house: Stack) -> None:
    before = refusals(house, "store_full")
    with house.redis() as store:
        store.config_set("maxmemory", store.info("memory")["used_memory"] + MEBIBYTE // 2)
        try:
            answers = [house.deliver(an_event(note="n" * 8192)).status_code for _ in range(FLOOD)]
        finally:
            store.config_set("maxmemory", 0)
        accepted = answers.count(202)

        assert set(answers) == {202, 503}
        assert refusals(house, "store_full") == before + FLOOD - accepted
        assert ledger(store) == {"open": accepted, "accepted": accepted}
    assert house.deliver().status_code == 202


def test_a_full_disk_loses_nothing_that_was_acknowledged(house: Stack) -> None:
    accepted = {an_id for an_id in (deliver_some(house) for _ in range(20)) if an_id}
    file_size = max(file.stat().st_size for file in (house.data / "appendonlydir").iterdir())

    # The store's files may grow by so much and no more: a write is cut in the middle, as on a full disk.
    resource.prlimit(house.server.pid, resource.RLIMIT_FSIZE, (file_size + 100_000, -1))
    accepted |= {an_id for an_id in (deliver_some(house) for _ in range(FLOOD)) if an_id}
    wait_until(lambda: house.server.poll() is not None, "a store that cannot write does not go on")
    assert house.deliver().status_code == 503
    house.restart_store()
    wait_until(house.is_ready)

    assert 20 < len(accepted) < FLOOD
    with house.redis() as store:
        found = {an_id.decode() for an_id in store.zrange("surehook:open", 0, -1)}
    assert accepted <= found


def deliver_some(house: Stack) -> str | None:
    answer = house.deliver()
    return str(json.loads(answer.content)["eventId"]) if answer.status_code == 202 else None
