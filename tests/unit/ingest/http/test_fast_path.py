"""Which deliveries go past the endpoint, and how they are answered there."""

import pytest

from surehook.ingest.store.acceptor import Outcome
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import AuthenticationFailed, StoreUnavailable
from tests.support.fake_endpoint import BODY, PATH, Doorkeeper, Place, a_delivery, at
from tests.support.raw_http import a_request

CHUNKED = a_request("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n" % (len(BODY), BODY))
EVENT_ID = parse_envelope(BODY).event_id
ACCEPTED = b'{"status":"accepted","eventId":"%b"}' % EVENT_ID.encode()


def test_a_whole_delivery_is_answered_without_the_endpoint() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(a_delivery())
        assert place.wire.said == b""
        door.whole[0].set_result(Outcome.STORED)

    place = at(door, scene)

    assert (door.read, place.asked) == ([BODY], [])
    assert place.wire.said == (
        b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED)
    )
    assert door.bounds.pending == 0
    assert not place.wire.is_closing()


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
    door = Doorkeeper()

    place = at(door, lambda place: place.hear(*reads))

    assert (door.read, place.asked) == ([], [BODY])
    assert not place.wire.is_closing()


def test_who_does_not_read_its_answers_gets_the_next_from_the_endpoint_which_waits() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        place.protocol.pause_writing()
        await place.hear(a_delivery())
        assert (door.read, place.asked, place.statuses) == ([], [BODY], [])
        place.protocol.resume_writing()
        await place.turn()

    assert at(door, scene).statuses == [200]


@pytest.mark.parametrize("says", [False, RuntimeError("a bug")], ids=["the door cannot say yet", "the door breaks"])
def test_what_the_door_does_not_take_goes_to_the_endpoint(says: bool | Exception) -> None:
    place = at(Doorkeeper(says=says), lambda place: place.hear(a_delivery()))

    assert place.asked == [BODY]
    assert place.statuses == [200]


@pytest.mark.parametrize(
    ("error", "status", "is_closed"),
    [
        pytest.param(AuthenticationFailed("no"), 401, True, id="a stranger"),
        pytest.param(StoreUnavailable(), 503, False, id="no store"),
    ],
)
def test_a_refusal_leaves_the_short_way_too(error: Exception, status: int, *, is_closed: bool) -> None:
    place = at(Doorkeeper(says=error), lambda place: place.hear(a_delivery()))

    assert (place.statuses, place.asked) == ([status], [])
    assert place.wire.is_closing() is is_closed
    assert (b"connection: close" in place.wire.said) is is_closed


def test_a_loss_in_the_store_is_told() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(a_delivery())
        door.whole[0].set_exception(StoreUnavailable())

    assert at(door, scene).statuses == [503]
    assert door.bounds.pending == 0


def test_the_next_request_waits_for_the_answer_to_the_one_before_it() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(a_delivery() + a_delivery())
        assert (len(door.whole), place.asked) == (1, [])
        door.whole[0].set_result(Outcome.STORED)
        await place.turn()

    place = at(door, scene)

    assert (place.statuses, place.asked) == ([202, 200], [BODY])


def test_what_follows_a_refusal_on_its_connection_is_not_heard() -> None:
    door = Doorkeeper(says=AuthenticationFailed("no"))

    place = at(door, lambda place: place.hear(a_delivery() + a_delivery()))

    assert (place.statuses, len(door.read), place.asked) == ([401], 1, [])


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
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(sent)
        door.whole[0].set_result(Outcome.STORED)

    place = at(door, scene)

    assert b"connection: close" in place.wire.said
    assert place.wire.is_closing()


@pytest.mark.parametrize("when", ["before it came", "while it waits"])
def test_a_process_that_leaves_answers_and_hangs_up(when: str) -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        if when == "before it came":
            place.protocol.shutdown()
            await place.hear(a_delivery())
        else:
            await place.hear(a_delivery())
            place.protocol.shutdown()
        door.whole[0].set_result(Outcome.STORED)

    place = at(door, scene)

    assert place.statuses == [202]
    assert b"connection: close" in place.wire.said
    assert place.wire.is_closing()


def test_an_event_whose_sender_has_gone_is_stored_and_nobody_is_told() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(a_delivery())
        place.wire.close()
        place.protocol.connection_lost(None)
        assert not door.whole[0].done()
        door.whole[0].set_result(Outcome.STORED)

    place = at(door, scene)

    assert place.wire.said == b""
    assert door.bounds.pending == 0
    assert door.bounds.connections == 0


def test_an_idle_connection_keeps_no_body() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        await place.hear(a_delivery())
        door.whole[0].set_result(Outcome.STORED)

    at(door, scene)

    assert (door.whole[0].envelope, door.whole[0].reservation) == (None, None)


def test_a_dates_change_is_seen() -> None:
    door = Doorkeeper()

    async def scene(place: Place) -> None:
        for day in (b"today", b"tomorrow"):
            place.protocol.server_state.default_headers = [(b"date", day)]
            await place.hear(a_delivery())
            door.whole[-1].set_result(Outcome.STORED)

    said = at(door, scene).wire.said

    assert said.index(b"date: today") < said.index(b"date: tomorrow")
