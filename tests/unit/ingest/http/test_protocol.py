"""The protocol with bytes split at chosen places, which a test over a network cannot control."""

import pytest

from surehook.ingest.http.head import MAX_HEAD_BYTES, MAX_HEADERS
from tests.support.fake_endpoint import FakeEndpoint, run_with

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
