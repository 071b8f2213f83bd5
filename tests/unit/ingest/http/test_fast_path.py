"""Which deliveries go past the endpoint, and how they are answered there."""

import pytest

from surehook.ingest.store.acceptor import Outcome
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import AuthenticationFailed, StoreUnavailable
from tests.support.fake_endpoint import BODY, PATH, ClientConnection, FakeEndpoint, a_delivery, run_with
from tests.support.raw_http import a_request

CHUNKED = a_request("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n" % (len(BODY), BODY))
EVENT_ID = parse_envelope(BODY).event_id
ACCEPTED = b'{"status":"accepted","eventId":"%b"}' % EVENT_ID.encode()


def test_a_whole_delivery_is_answered_without_the_endpoint() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        assert connection.transport.sent == b""
        endpoint.pending[0].set_result(Outcome.STORED)

    connection = run_with(endpoint, scene)

    assert (endpoint.bodies, connection.through_asgi) == ([BODY], [])
    assert connection.transport.sent == (
        b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED)
    )
    assert endpoint.limits.pending == 0
    assert not connection.transport.is_closing()


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([a_delivery()[:-1], a_delivery()[-1:]], id="the last byte comes later"),
        pytest.param([a_request(f"Content-Length: {len(BODY)}"), BODY], id="head and body apart"),
        pytest.param([a_delivery("Expect: 100-continue")], id="asks first"),
        pytest.param([CHUNKED + b"0\r\n\r\n"], id="chunks"),
        pytest.param([CHUNKED + b"0\r\nExpect: 100-continue\r\n\r\n"], id="asks behind its body"),
        pytest.param([CHUNKED + b"0\r\nConnection: close\r\n\r\n"], id="takes leave behind its body"),
        pytest.param([a_delivery().replace(PATH.encode(), b"/elsewhere")], id="another path"),
        pytest.param([a_delivery().replace(PATH.encode(), PATH.encode() + b"?a=b")], id="a query"),
        pytest.param([a_delivery().replace(b"POST", b"PUT")], id="another method"),
    ],
)
def test_any_other_request_goes_to_the_endpoint_with_all_of_its_body(reads: list[bytes]) -> None:
    endpoint = FakeEndpoint()

    connection = run_with(endpoint, lambda connection: connection.receive(*reads))

    assert (endpoint.bodies, connection.through_asgi) == ([], [BODY])
    assert not connection.transport.is_closing()


def test_who_does_not_read_its_answers_gets_the_next_from_the_endpoint_which_waits() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        connection.protocol.pause_writing()
        await connection.receive(a_delivery())
        assert (endpoint.bodies, connection.through_asgi, connection.statuses) == ([], [BODY], [])
        connection.protocol.resume_writing()
        await connection.turn()

    assert run_with(endpoint, scene).statuses == [200]


@pytest.mark.parametrize("starts", [False, RuntimeError("a bug")], ids=["the door cannot say yet", "the door breaks"])
def test_what_the_door_does_not_take_goes_to_the_endpoint(starts: bool | Exception) -> None:
    connection = run_with(FakeEndpoint(starts=starts), lambda connection: connection.receive(a_delivery()))

    assert connection.through_asgi == [BODY]
    assert connection.statuses == [200]


@pytest.mark.parametrize(
    ("error", "status", "is_closed"),
    [
        pytest.param(AuthenticationFailed("no"), 401, True, id="a stranger"),
        pytest.param(StoreUnavailable(), 503, False, id="no store"),
    ],
)
def test_a_refusal_leaves_the_short_way_too(error: Exception, status: int, *, is_closed: bool) -> None:
    connection = run_with(FakeEndpoint(starts=error), lambda connection: connection.receive(a_delivery()))

    assert (connection.statuses, connection.through_asgi) == ([status], [])
    assert connection.transport.is_closing() is is_closed
    assert (b"connection: close" in connection.transport.sent) is is_closed


def test_a_loss_in_the_store_is_told() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        endpoint.pending[0].set_exception(StoreUnavailable())

    assert run_with(endpoint, scene).statuses == [503]
    assert endpoint.limits.pending == 0


def test_the_next_request_waits_for_the_answer_to_the_one_before_it() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(a_delivery() + a_delivery())
        assert (len(endpoint.pending), connection.through_asgi) == (1, [])
        endpoint.pending[0].set_result(Outcome.STORED)
        await connection.turn()

    connection = run_with(endpoint, scene)

    assert (connection.statuses, connection.through_asgi) == ([202, 200], [BODY])


def test_what_follows_a_refusal_on_its_connection_is_not_heard() -> None:
    endpoint = FakeEndpoint(starts=AuthenticationFailed("no"))

    connection = run_with(endpoint, lambda connection: connection.receive(a_delivery() + a_delivery()))

    assert (connection.statuses, len(endpoint.bodies), connection.through_asgi) == ([401], 1, [])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(a_delivery("Connection: close"), id="close"),
        pytest.param(a_delivery().replace(b"HTTP/1.1", b"HTTP/1.0"), id="an old protocol"),
        pytest.param(
            a_delivery("Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"), id="an old protocol that would stay"
        ),
    ],
)
def test_who_wants_one_answer_only_gets_it_and_the_end(sent: bytes) -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(sent)
        endpoint.pending[0].set_result(Outcome.STORED)

    connection = run_with(endpoint, scene)

    assert b"connection: close" in connection.transport.sent
    assert connection.transport.is_closing()


@pytest.mark.parametrize("when", ["before it came", "while it waits"])
def test_a_process_that_leaves_answers_and_hangs_up(when: str) -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        if when == "before it came":
            connection.protocol.shutdown()
            await connection.receive(a_delivery())
        else:
            await connection.receive(a_delivery())
            connection.protocol.shutdown()
        endpoint.pending[0].set_result(Outcome.STORED)

    connection = run_with(endpoint, scene)

    assert connection.statuses == [202]
    assert b"connection: close" in connection.transport.sent
    assert connection.transport.is_closing()


def test_an_event_whose_sender_has_gone_is_stored_and_nobody_is_told() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        connection.transport.close()
        connection.protocol.connection_lost(None)
        assert not endpoint.pending[0].done()
        endpoint.pending[0].set_result(Outcome.STORED)

    connection = run_with(endpoint, scene)

    assert connection.transport.sent == b""
    assert endpoint.limits.pending == 0
    assert endpoint.limits.connections == 0


def test_an_idle_connection_keeps_no_body() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        await connection.receive(a_delivery())
        endpoint.pending[0].set_result(Outcome.STORED)

    run_with(endpoint, scene)

    assert (endpoint.pending[0].envelope, endpoint.pending[0].reservation) == (None, None)


def test_a_dates_change_is_seen() -> None:
    endpoint = FakeEndpoint()

    async def scene(connection: ClientConnection) -> None:
        for day in (b"today", b"tomorrow"):
            connection.protocol.server_state.default_headers = [(b"date", day)]
            await connection.receive(a_delivery())
            endpoint.pending[-1].set_result(Outcome.STORED)

    sent = run_with(endpoint, scene).transport.sent

    assert sent.index(b"date: today") < sent.index(b"date: tomorrow")
