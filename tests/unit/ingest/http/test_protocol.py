"""What a test over a network cannot decide: how the bytes are cut."""

import pytest

from surehook.ingest.http.protocol import MAX_HEADERS_BYTES
from tests.support.fake_endpoint import FakeEndpoint, run_with

LARGE = 1024 * 1024


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        pytest.param([b"X: " + b"x" * (MAX_HEADERS_BYTES - 100)], True, id="one that just fits"),
        pytest.param([b"X: " + b"x" * (MAX_HEADERS_BYTES + 1)], False, id="one too long"),
        pytest.param([b"X-%d: x" % number for number in range(MAX_HEADERS_BYTES // 8)], False, id="too many"),
    ],
)
def test_headers_are_measured_also_where_one_read_brings_them_with_their_body(
    headers: list[bytes], is_let_in: bool
) -> None:
    head = [b"POST / HTTP/1.1", b"Content-Length: %d" % LARGE, *headers, b"", b""]

    connection = run_with(FakeEndpoint(), lambda connection: connection.receive(b"\r\n".join(head) + b" " * LARGE))

    assert len(connection.through_asgi) == is_let_in
    assert connection.refused == ([] if is_let_in else ["headers_too_large"])
