"""P8: past a bound the answer is 503 at once, memory stays where it was, and what was let in is stored."""

import json
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.support.children import resident_bytes
from tests.support.events import a_body, an_event
from tests.support.house import House, wait_until
from tests.support.ledger import ledger
from tests.support.series import metric, refusals
from tests.support.wire import a_request, connect, read_until_closed, status_of

MEBIBYTE = 1024 * 1024
MOST_PENDING = 20
MOST_BYTES = 4 * MEBIBYTE
MOST_OPEN = 150
FLOOD = 120
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n\r\n"
# Of floods that would need several times as much if they were let in.
FLAT_BYTES = 16 * MEBIBYTE
# About a second, which is less than FusionAuth waits, and room for a busy machine.
ANSWERED_SECONDS = 5.0


@pytest.fixture(scope="module")
def open_house() -> Iterator[House]:
    house = House()
    house.start_ingest(
        SUREHOOK_MAX_PENDING=str(MOST_PENDING),
        SUREHOOK_MAX_BODY_BYTES_IN_FLIGHT=str(MOST_BYTES),
        SUREHOOK_MAX_BACKLOG=str(MOST_OPEN),
    )
    yield house
    house.close()


@pytest.fixture
def house(open_house: House) -> House:
    """Nothing of an earlier flood is left, neither here nor there."""
    wait_until(lambda: metric(open_house, "surehook_open_connections") <= 1, "they hung up")
    wait_until(lambda: metric(open_house, "surehook_pending_requests") == 0, "nothing is held")
    assert metric(open_house, "surehook_body_bytes_in_flight") == 0
    with open_house.redis() as store:
        store.flushall()
    return open_house


@contextmanager
def begun(house: House, count: int, request: bytes) -> Iterator[list[socket.socket]]:
    """So many requests whose last byte is still to come."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(house.port)) for _ in range(count)]
        for connection in connections:
            connection.sendall(request[:-1])
        yield connections


def a_large_body(size: int) -> bytes:
    event: dict[str, Any] = an_event(note="")
    event["note"] = "n" * (size - len(a_body(event)))
    return a_body(event)


def test_requests_past_the_bound_are_refused_and_those_before_are_stored(house: House) -> None:
    body = a_body()
    request = a_request(f"Content-Length: {len(body)}", body=body)
    before, memory = refusals(house, "too_many_pending"), resident_bytes(house.processes[0].pid)

    with begun(house, MOST_PENDING, request) as held:
        wait_until(lambda: metric(house, "surehook_pending_requests") == MOST_PENDING)
        answers = [house.deliver() for _ in range(FLOOD)]
        for connection in held:
            connection.sendall(request[-1:])
        late = [status_of(connection.recv(65536)) for connection in held]

    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "5")}
    assert answers[0].json()["errors"][0]["code"] == "[unavailable]"
    assert sorted(late) == [200] * (MOST_PENDING - 1) + [202]
    assert refusals(house, "too_many_pending") == before + FLOOD
    assert resident_bytes(house.processes[0].pid) - memory < FLAT_BYTES
    assert house.deliver().status_code == 202


def test_bodies_past_the_bound_are_refused_by_what_they_announce_and_by_what_they_send(house: House) -> None:
    body = a_large_body(MEBIBYTE)
    announced = a_request(f"Content-Length: {len(body)}", body=body)
    in_chunks = a_request("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    before, memory = refusals(house, "too_many_bytes"), resident_bytes(house.processes[0].pid)

    with begun(house, MOST_BYTES // MEBIBYTE, announced) as held:
        wait_until(lambda: metric(house, "surehook_body_bytes_in_flight") == MOST_BYTES)
        refused = [exchange(house, sent) for sent in (announced, in_chunks) for _ in range(FLOOD // 4)]
        for connection in held:
            connection.sendall(announced[-1:])
        late = [status_of(connection.recv(65536)) for connection in held]

    assert {status_of(answer) for answer in refused} == {503}
    assert all(b"\r\nretry-after: 5\r\n" in answer for answer in refused)
    assert sorted(late) == [200, 200, 200, 202]
    assert refusals(house, "too_many_bytes") == before + len(refused)
    assert resident_bytes(house.processes[0].pid) - memory < FLAT_BYTES


def test_a_refusal_ends_a_connection_whose_body_was_not_asked_for_and_no_other(house: House) -> None:
    body = a_body()
    waiting = a_request(f"Content-Length: {len(body)}", "Expect: 100-continue")
    whole = a_request(f"Content-Length: {len(body)}", body=body)

    with begun(house, MOST_PENDING, whole), connect(house.port) as asking, connect(house.port) as telling:
        wait_until(lambda: metric(house, "surehook_pending_requests") == MOST_PENDING)
        asking.sendall(waiting)
        answer = read_until_closed(asking)
        telling.sendall(whole)
        first = telling.recv(65536)
        telling.sendall(waiting + body)
        second = telling.recv(65536)
        telling.sendall(HEALTHZ)
        third = telling.recv(65536)

    assert (status_of(answer), answer.count(b"HTTP/1.1 ")) == (503, 1)
    assert b"connection: close" in answer
    assert [status_of(each) for each in (first, second, third)] == [503, 503, 200]
    assert b"connection: close" not in first + second + third


def test_a_body_that_is_refused_while_it_comes_is_read_to_its_end(house: House) -> None:
    body = a_large_body(MEBIBYTE)
    request = a_request(f"Content-Length: {len(body)}", body=body)

    with begun(house, MOST_BYTES // MEBIBYTE, request), connect(house.port) as connection:
        wait_until(lambda: metric(house, "surehook_body_bytes_in_flight") == MOST_BYTES)
        connection.sendall(request[: MEBIBYTE // 2])
        refused = connection.recv(65536)
        connection.sendall(request[MEBIBYTE // 2 :] + HEALTHZ)
        answer = connection.recv(65536)

    assert (status_of(refused), status_of(answer)) == (503, 200)
    assert b"retry-after: 5" in refused


def test_connections_past_the_bound_are_answered_and_closed(house: House) -> None:
    before, memory = refusals(house, "too_many_connections"), resident_bytes(house.processes[0].pid)

    with ExitStack() as stack:
        for _ in range(2 * MOST_PENDING):
            stack.enter_context(connect(house.port))
        wait_until(lambda: metric(house, "surehook_open_connections") == 2 * MOST_PENDING)
        answers = [house.deliver() for _ in range(FLOOD)]

    assert {(answer.status_code, answer.headers["connection"]) for answer in answers} == {(503, "close")}
    assert refusals(house, "too_many_connections") == before + FLOOD
    assert 0 < house.logged().count("too_many_connections") < FLOOD / 2
    assert resident_bytes(house.processes[0].pid) - memory < FLAT_BYTES
    wait_until(lambda: house.deliver().status_code in {200, 202}, "there is room again")


def test_events_past_the_backlog_are_refused(house: House) -> None:
    before = refusals(house, "backlog_full")

    answers = [house.deliver() for _ in range(MOST_OPEN + 50)]

    assert [answer.status_code for answer in answers] == [202] * MOST_OPEN + [503] * 50
    assert {answer.headers.get("retry-after") for answer in answers[MOST_OPEN:]} == {"5"}
    assert refusals(house, "backlog_full") == before + 50
    assert house.is_ready()
    with house.redis() as store:
        assert ledger(store) == {"open": MOST_OPEN, "accepted": MOST_OPEN}


def test_a_stuck_store_under_a_flood_does_not_fill_the_memory(house: House) -> None:
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
    house: House, *, is_merely_slow: bool
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


def test_a_store_out_of_memory_refuses_and_keeps_what_it_had(house: House) -> None:
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


def test_a_full_disk_loses_nothing_that_was_acknowledged(house: House) -> None:
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


def deliver_some(house: House) -> str | None:
    answer = house.deliver()
    return str(json.loads(answer.content)["eventId"]) if answer.status_code == 202 else None


def exchange(house: House, request: bytes) -> bytes:
    """Send all of it, also when it is refused half-way, and read the answer."""
    with connect(house.port) as connection:
        connection.sendall(request)
        return connection.recv(65536)
