"""Several ingest processes on one store answer as one."""

from collections.abc import Callable
from contextlib import ExitStack

import httpx

from harness.events import a_body, an_event
from harness.stack import Stack, free_port, wait_until
from tests.support.raw_http import a_request, connect, status_of

CONNECTIONS_EACH = 32


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False


def deliver_at_once(ports: list[int], sent: bytes) -> list[int]:
    """Every connection stands before the first byte is sent; returns the answers' statuses."""
    with ExitStack() as exit_stack:
        connections = [exit_stack.enter_context(connect(port)) for port in ports]
        for connection in connections:
            connection.sendall(sent)
        return [status_of(connection.recv(65536)) for connection in connections]


def test_an_event_sent_to_two_endpoints_at_once_is_accepted_once(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    stack.start_ingest()
    second = free_port()
    stack.surehook("ingest", SUREHOOK_BIND=f"127.0.0.1:{second}", SUREHOOK_METRICS_BIND="off")
    wait_until(lambda: is_ready(second), "the second endpoint is ready")
    event = an_event()
    body = a_body(event)

    statuses = deliver_at_once(
        [stack.port, second] * CONNECTIONS_EACH, a_request(f"Content-Length: {len(body)}", body=body)
    )

    assert sorted(statuses) == [200] * (2 * CONNECTIONS_EACH - 1) + [202]
    with stack.redis() as store:
        assert store.lrange("rq:queue:events", 0, -1) == [event["id"].encode()]
        assert store.hget("surehook:ledger", "accepted") == b"1"
