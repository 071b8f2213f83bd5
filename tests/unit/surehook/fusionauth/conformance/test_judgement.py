"""An answer is judged by the need of its case."""

import pytest

from surehook.fusionauth.conformance.case import Case, Expected, Level
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import judge
from surehook.fusionauth.simulator.http_client import CallResponse


def a_case(expected: Expected, level: Level) -> Case:
    return Case("area.name", "A title.", "§1", "https://example.com", expected, level, (), lambda _: [])


def an_exchange(status: int, event_type: str = "user.create", redirected_to: str = "") -> Exchange:
    response = CallResponse(status, "java.net.SocketTimeoutException" if status < 0 else "", b"", redirected_to)
    return Exchange(f"POST {event_type} (of 1,000), 1,234 bytes", event_type, "id", response, 0.01)


@pytest.mark.parametrize(
    ("exchange", "level"),
    [
        (an_exchange(200), Level.OK),
        (an_exchange(202), Level.OK),
        (an_exchange(302), Level.ODD),
        (an_exchange(500), Level.ODD),
        (an_exchange(-1), Level.ODD),
        (an_exchange(200, redirected_to="http://elsewhere"), Level.LOSES_EVENTS),
    ],
)
def test_an_event_has_to_be_accepted(exchange: Exchange, level: Level) -> None:
    judgement = judge(a_case(Expected.ACCEPTED, Level.ODD), [an_exchange(204), exchange])

    assert judgement.level is level
    assert (judgement.exchanges[0] is exchange) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("status", "event_type", "level"),
    [
        (422, "user.create", Level.BLOCKS_USERS),
        (409, "user.create", Level.BLOCKS_USERS),
        (400, "user.create", Level.LOSES_EVENTS),
        (422, "user.create.complete", Level.LOSES_EVENTS),
    ],
)
def test_a_refusal_inside_a_transaction_may_be_meant(status: int, event_type: str, level: Level) -> None:
    judgement = judge(a_case(Expected.ACCEPTED, Level.LOSES_EVENTS), [an_exchange(status, event_type)])

    assert judgement.level is level


@pytest.mark.parametrize(
    ("exchange", "level"),
    [
        (an_exchange(401), Level.OK),
        (an_exchange(-1), Level.OK),
        (an_exchange(503), Level.OK),
        (an_exchange(500), Level.ODD),
        (an_exchange(200), Level.FORGERY),
        (an_exchange(200, redirected_to="http://elsewhere"), Level.FORGERY),
    ],
)
def test_a_forgery_has_to_be_refused(exchange: Exchange, level: Level) -> None:
    judgement = judge(a_case(Expected.REFUSED, Level.FORGERY), [an_exchange(401), exchange])

    assert judgement.level is level
    assert bool(judgement.wrong) == (level is not Level.OK)


def test_the_sentence_names_events_and_not_their_sizes() -> None:
    judgement = judge(a_case(Expected.ACCEPTED, Level.ODD), [an_exchange(500)] * 2)

    assert judgement.wrong == "user.create (of 1,000) was not accepted."


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (an_exchange(200), "counts it as delivered"),
        (an_exchange(200, redirected_to="http://elsewhere"), "the event is gone"),
        (an_exchange(-1), "logs status -1; under None it does not send again"),
        (an_exchange(500), "rolls the operation back and its caller gets 504"),
        (an_exchange(500, "user.create.complete"), "counts it as failed, and does not send it again"),
    ],
)
def test_what_fusionauth_would_have_done(exchange: Exchange, words: str) -> None:
    assert words in exchange.fusionauth(is_genuine=True)
    assert exchange.is_delivered or "never sends this" in exchange.fusionauth(is_genuine=False)
