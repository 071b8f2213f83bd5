"""The fast path: which deliveries take it, and how they are answered."""

import pytest

from surehook.ingest.store.accept_script import AcceptResult
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import AuthenticationFailed, StoreUnavailable
from tests.support.fake_endpoint import BODY, PATH, ClientConnection, FakeEndpoint, a_delivery, run_with
from tests.support.raw_http import a_request

CHUNKED = a_request("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n" % (len(BODY), BODY))
EVENT_ID = parse_envelope(BODY).event_id
ACCEPTED = b'{"status":"accepted","eventId":"%b"}' % EVENT_ID.encode()


def test_a_complete_delivery_is_answered_without_asgi() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        assert connection.transport.sent == b""
        endpoint.pending[0].set_result(AcceptResult.STORED)

    connection = run_with(endpoint, scenario)

    assert (endpoint.bodies, connection.through_asgi) == ([BODY], [])
    assert connection.transport.sent == (
        b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED)
    )
    assert endpoint.limits.pending == 0
    assert not connection.protocol.transport.is_closing()


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([a_delivery()[:-1], a_delivery()[-1:]], id="the last byte comes later"),
        pytest.param([a_request(f"Content-Length: {len(BODY)}"), BODY], id="head and body apart"),
        pytest.param([a_delivery("Expect: 100-continue")], id="expects 100-continue"),
        pytest.param([CHUNKED + b"0\r\n\r\n"], id="chunks"),
        pytest.param([CHUNKED + b"0\r\nExpect: 100-continue\r\n\r\n"], id="expects 100-continue in a trailer"),
        pytest.param([CHUNKED + b"0\r\nConnection: close\r\n\r\n"], id="closes in a trailer"),
        pytest.param([a_delivery().replace(PATH.encode(), b"/elsewhere")], id="another path"),
        pytest.param([a_delivery().replace(PATH.encode(), PATH.encode() + b"?a=b")], id="a query"),
        pytest.param([a_delivery().replace(b"POST", b"PUT")], id="another method"),
    ],
)
def test_any_other_request_goes_through_asgi_with_its_complete_body(reads: list[bytes]) -> None:
    endpoint = FakeEndpoint()

    connection = run_with(endpoint, lambda connection: connection.receive(*reads))

    assert (endpoint.bodies, connection.through_asgi) == ([], [BODY])
    assert not connection.protocol.transport.is_closing()


def test_a_client_that_does_not_read_gets_its_next_response_through_asgi() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        connection.protocol.pause_writing()
        await connection.receive(a_delivery())
        assert (endpoint.bodies, connection.through_asgi, connection.statuses) == ([], [BODY], [])
        connection.protocol.resume_writing()
        await connection.turn()

    assert run_with(endpoint, scenario).statuses == [200]


@pytest.mark.parametrize("starts", [False, RuntimeError("a bug")], ids=["endpoint must wait", "endpoint fails"])
def test_a_delivery_that_the_fast_path_cannot_handle_goes_through_asgi(starts: bool | Exception) -> None:
    connection = run_with(FakeEndpoint(starts=starts), lambda connection: connection.receive(a_delivery()))

    assert connection.through_asgi == [BODY]
    assert connection.statuses == [200]


@pytest.mark.parametrize(
    ("error", "status", "is_closed"),
    [
        pytest.param(AuthenticationFailed("no"), 401, True, id="unauthenticated"),
        pytest.param(StoreUnavailable(), 503, False, id="store unavailable"),
    ],
)
def test_a_refusal_takes_the_fast_path_too(error: Exception, status: int, *, is_closed: bool) -> None:
    connection = run_with(FakeEndpoint(starts=error), lambda connection: connection.receive(a_delivery()))

    assert (connection.statuses, connection.through_asgi) == ([status], [])
    assert connection.protocol.transport.is_closing() is is_closed
    assert (b"connection: close" in connection.transport.sent) is is_closed


def test_a_store_failure_is_answered_503() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        endpoint.pending[0].set_exception(StoreUnavailable())

    assert run_with(endpoint, scenario).statuses == [503]
    assert endpoint.limits.pending == 0


def test_a_pipelined_request_waits_for_the_previous_response() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery() + a_delivery())
        assert (len(endpoint.pending), connection.through_asgi) == (1, [])
        endpoint.pending[0].set_result(AcceptResult.STORED)
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert (connection.statuses, connection.through_asgi) == ([202, 200], [BODY])


def test_requests_after_a_refusal_on_one_connection_are_ignored() -> None:
    endpoint = FakeEndpoint(starts=AuthenticationFailed("no"))

    connection = run_with(endpoint, lambda connection: connection.receive(a_delivery() + a_delivery()))

    assert (connection.statuses, len(endpoint.bodies), connection.through_asgi) == ([401], 1, [])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_delivery("Connection: close"), id="close"),
        pytest.param(a_delivery().replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
        pytest.param(
            a_delivery("Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0 with keep-alive"
        ),
    ],
)
def test_a_connection_without_keep_alive_is_closed_after_the_response(sent: bytes) -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(sent)
        endpoint.pending[0].set_result(AcceptResult.STORED)

    connection = run_with(endpoint, scenario)

    assert b"connection: close" in connection.transport.sent
    assert connection.protocol.transport.is_closing()


@pytest.mark.parametrize("when", ["before the delivery", "during the delivery"])
def test_a_stopping_process_responds_and_closes_the_connection(when: str) -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        if when == "before the delivery":
            connection.protocol.shutdown()
            await connection.receive(a_delivery())
        else:
            await connection.receive(a_delivery())
            connection.protocol.shutdown()
        endpoint.pending[0].set_result(AcceptResult.STORED)

    connection = run_with(endpoint, scenario)

    assert connection.statuses == [202]
    assert b"connection: close" in connection.transport.sent
    assert connection.protocol.transport.is_closing()


def test_an_event_is_stored_although_its_sender_has_disconnected() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.transport.close()
        connection.protocol.connection_lost(None)
        assert not endpoint.pending[0].done()
        endpoint.pending[0].set_result(AcceptResult.STORED)

    connection = run_with(endpoint, scenario)

    assert connection.transport.sent == b""
    assert endpoint.limits.pending == 0
    assert endpoint.limits.connections == 0


def test_an_idle_connection_keeps_no_body() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        endpoint.pending[0].set_result(AcceptResult.STORED)

    run_with(endpoint, scenario)

    assert (endpoint.pending[0].envelope, endpoint.pending[0].reservation) == (None, None)


def test_a_changed_date_reaches_the_next_response() -> None:
    endpoint = FakeEndpoint()

    async def scenario(connection: ClientConnection) -> None:
        for day in (b"today", b"tomorrow"):
            connection.protocol.server_state.default_headers = [(b"date", day)]
            await connection.receive(a_delivery())
            endpoint.pending[-1].set_result(AcceptResult.STORED)

    sent = run_with(endpoint, scenario).transport.sent

    assert sent.index(b"date: today") < sent.index(b"date: tomorrow")


def test_a_pipelined_request_that_breaks_off_makes_the_answer_before_it_the_last() -> None:
    endpoint = FakeEndpoint()
    broken = a_request("Transfer-Encoding: chunked", body=b"zz\r\n")

    async def scenario(connection: ClientConnection) -> None:
        await connection.receive(a_delivery() + broken)
        endpoint.pending[0].set_result(AcceptResult.STORED)
        await connection.turn()

    connection = run_with(endpoint, scenario)

    assert (connection.statuses, connection.refused) == ([202], ["not_http"])
    assert b"connection: close" in connection.transport.sent
    assert connection.transport.has_ended
