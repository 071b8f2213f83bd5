"""P8: past a limit the answer is 503 immediately, memory stays flat, and accepted events are stored."""

from contextlib import ExitStack

import pytest

from harness.events import a_body
from harness.processes import resident_bytes
from harness.stack import Stack, wait_until
from tests.support.flood import (
    FLAT_BYTES,
    FLOOD,
    MEBIBYTE,
    MOST_BYTES,
    MOST_OPEN,
    MOST_PENDING,
    a_large_body,
    incomplete_requests,
    send,
)
from tests.support.ledger import ledger
from tests.support.metrics import metric, refusals
from tests.support.raw_http import a_request, connect, read_until_closed, status_of

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: surehook\r\n\r\n"


@pytest.fixture
def stack(bounded_stack: Stack) -> Stack:
    return bounded_stack


def test_requests_past_the_bound_are_refused_and_those_before_are_stored(stack: Stack) -> None:
    body = a_body()
    request = a_request(f"Content-Length: {len(body)}", body=body)
    before, memory = refusals(stack, "too_many_pending"), resident_bytes(stack.processes[0].pid)

    with incomplete_requests(stack, MOST_PENDING, request) as held:
        wait_until(lambda: metric(stack, "surehook_pending_requests") == MOST_PENDING)
        answers = [stack.deliver() for _ in range(FLOOD)]
        for connection in held:
            connection.sendall(request[-1:])
        late = [status_of(connection.recv(65536)) for connection in held]

    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "5")}
    assert answers[0].json()["errors"][0]["code"] == "[unavailable]"
    assert sorted(late) == [200] * (MOST_PENDING - 1) + [202]
    assert refusals(stack, "too_many_pending") == before + FLOOD
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES
    assert stack.deliver().status_code == 202


def test_bodies_past_the_bound_are_refused_by_what_they_announce_and_by_what_they_send(stack: Stack) -> None:
    body = a_large_body(MEBIBYTE)
    announced = a_request(f"Content-Length: {len(body)}", body=body)
    in_chunks = a_request("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    before, memory = refusals(stack, "too_many_bytes"), resident_bytes(stack.processes[0].pid)

    with incomplete_requests(stack, MOST_BYTES // MEBIBYTE, announced) as held:
        wait_until(lambda: metric(stack, "surehook_body_bytes_in_flight") == MOST_BYTES)
        refused = [send(stack, sent) for sent in (announced, in_chunks) for _ in range(FLOOD // 4)]
        for connection in held:
            connection.sendall(announced[-1:])
        late = [status_of(connection.recv(65536)) for connection in held]

    assert {status_of(answer) for answer in refused} == {503}
    assert all(b"\r\nretry-after: 5\r\n" in answer for answer in refused)
    assert sorted(late) == [200, 200, 200, 202]
    assert refusals(stack, "too_many_bytes") == before + len(refused)
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES


def test_a_refusal_ends_a_connection_whose_body_was_not_asked_for_and_no_other(stack: Stack) -> None:
    body = a_body()
    waiting = a_request(f"Content-Length: {len(body)}", "Expect: 100-continue")
    whole = a_request(f"Content-Length: {len(body)}", body=body)

    with incomplete_requests(stack, MOST_PENDING, whole), connect(stack.port) as asking, connect(stack.port) as telling:
        wait_until(lambda: metric(stack, "surehook_pending_requests") == MOST_PENDING)
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


def test_a_body_that_is_refused_while_it_comes_is_read_to_its_end(stack: Stack) -> None:
    body = a_large_body(MEBIBYTE)
    request = a_request(f"Content-Length: {len(body)}", body=body)

    with incomplete_requests(stack, MOST_BYTES // MEBIBYTE, request), connect(stack.port) as connection:
        wait_until(lambda: metric(stack, "surehook_body_bytes_in_flight") == MOST_BYTES)
        connection.sendall(request[: MEBIBYTE // 2])
        refused = connection.recv(65536)
        connection.sendall(request[MEBIBYTE // 2 :] + HEALTHZ)
        answer = connection.recv(65536)

    assert (status_of(refused), status_of(answer)) == (503, 200)
    assert b"retry-after: 5" in refused


def test_connections_past_the_bound_are_answered_and_closed(stack: Stack) -> None:
    before, memory = refusals(stack, "too_many_connections"), resident_bytes(stack.processes[0].pid)

    with ExitStack() as exit_stack:
        for _ in range(2 * MOST_PENDING):
            exit_stack.enter_context(connect(stack.port))
        wait_until(lambda: metric(stack, "surehook_open_connections") == 2 * MOST_PENDING)
        answers = [stack.deliver() for _ in range(FLOOD)]

    assert {(answer.status_code, answer.headers["connection"]) for answer in answers} == {(503, "close")}
    wait_until(lambda: refusals(stack, "too_many_connections") == before + FLOOD, "each is counted once it has ended")
    assert 0 < stack.logged().count("too_many_connections") < FLOOD / 2
    assert resident_bytes(stack.processes[0].pid) - memory < FLAT_BYTES
    wait_until(lambda: stack.deliver().status_code in {200, 202}, "there is room again")


def test_events_past_the_backlog_are_refused(stack: Stack) -> None:
    before = refusals(stack, "backlog_full")

    answers = [stack.deliver() for _ in range(MOST_OPEN + 50)]

    assert [answer.status_code for answer in answers] == [202] * MOST_OPEN + [503] * 50
    assert {answer.headers.get("retry-after") for answer in answers[MOST_OPEN:]} == {"5"}
    assert refusals(stack, "backlog_full") == before + 50
    assert stack.is_ready()
    with stack.redis() as store:
        assert ledger(store) == {"open": MOST_OPEN, "accepted": MOST_OPEN}
