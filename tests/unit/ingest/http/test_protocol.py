"""The protocol with bytes split at chosen places, which a test over a network cannot control."""

import pytest

from surehook.ingest.http.head import MAX_HEAD_BYTES, MAX_HEADERS, is_host
from surehook.ingest.http.protocol import MAX_REFUSED
from tests.support.fake_endpoint import ClientConnection, FakeEndpoint, run_with

LARGE = 1024 * 1024


@pytest.mark.parametrize(
    ("headers", "is_accepted"),
    [
        pytest.param([b"X: " + b"x" * (MAX_HEAD_BYTES - 100)], True, id="just within the limit"),
        pytest.param([b"X: " + b"x" * (MAX_HEAD_BYTES + 1)], False, id="one header too long"),
        pytest.param([b"X-%d: x" % number for number in range(MAX_HEADERS - 2)], True, id="just as many as allowed"),
        pytest.param([b"X-%d: x" % number for number in range(MAX_HEADERS - 1)], False, id="one header too many"),
    ],
)
def test_headers_are_measured_also_when_they_arrive_together_with_the_body(
    headers: list[bytes], is_accepted: bool
) -> None:
    head = [b"POST / HTTP/1.1", b"Host: x", b"Content-Length: %d" % LARGE, *headers, b"", b""]

    connection = run_with(FakeEndpoint(), lambda connection: connection.receive(b"\r\n".join(head) + b" " * LARGE))

    assert len(connection.through_asgi) == is_accepted
    assert connection.refused == ([] if is_accepted else ["headers_too_large"])


@pytest.mark.parametrize(("open_before", "is_reset"), [(MAX_REFUSED - 1, False), (MAX_REFUSED, True)])
def test_connections_far_above_the_limit_take_no_descriptors_from_the_store(open_before: int, is_reset: bool) -> None:
    endpoint = FakeEndpoint()
    endpoint.limits.connections = endpoint.limits.max_connections + open_before

    async def silent(connection: ClientConnection) -> None:
        await connection.turn()
        assert connection.transport.is_closing() is is_reset
        connection.protocol.connection_lost(None)

    connection = run_with(endpoint, silent)

    assert connection.refused == ["too_many_connections"]
    assert endpoint.limits.connections == endpoint.limits.max_connections + open_before


@pytest.mark.parametrize(
    ("host", "is_valid"),
    [
        pytest.param(b"", True, id="none, as for an address without an authority"),
        pytest.param(b"surehook.example:8080", True, id="name and port"),
        pytest.param(b"surehook:", True, id="an empty port"),
        pytest.param(b"127.0.0.1", True, id="IPv4"),
        pytest.param(b"[::1]:80 \t", True, id="IPv6"),
        pytest.param(b"a%20b", True, id="percent-encoded"),
        pytest.param(b"a%2", False, id="half an escape"),
        pytest.param(b"a:80x", False, id="a port that is no number"),
        pytest.param(b"a:80:80", False, id="two ports"),
        pytest.param(b"[::1", False, id="an open bracket"),
        pytest.param(b"::1", False, id="IPv6 without brackets"),
        pytest.param(b"a]", False, id="a closing bracket"),
        pytest.param(b"a/b", False, id="a path"),
        pytest.param(b"user@a", False, id="a user"),
        pytest.param(b"a b", False, id="two words"),
        pytest.param(b"a\n", False, id="a line end"),
    ],
)
def test_a_host_is_checked_as_http_defines_it(host: bytes, is_valid: bool) -> None:
    assert is_host(host) is is_valid
