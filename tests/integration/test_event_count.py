"""The number of events that match: the same as the length of the list, and bounded where it would take long."""

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import redis

from surehook.admin.counts import Count
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.event_records import CLOSED_STATES, OPEN_STATES, EventFilter
from surehook.admin.search import EventSearch
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import Accept
from tests.integration.test_known_ids import finish
from tests.integration.test_leases import an_attempt
from tests.support.claiming import SingleClaims
from tests.support.dead_letters import die

__all__ = ["die"]  # a fixture

KEYS = Keys()
TYPES = ("user.create", "user.delete")
HANDLERS = ("mail", "crm")
USER, EMAIL = "00000000-0000-4000-8000-000000000001", "ada@example.com"
FIELDS: dict[str, tuple[str | None, ...]] = {
    "event_type": (None, "user.create", ""),
    "handler": (None, "mail", "none"),
    "user_id": (None, USER),
    "email": (None, EMAIL),
}
STATES = ((), OPEN_STATES, CLOSED_STATES, *((state,) for state in (*OPEN_STATES, "done")), ("dead", "done"))


@pytest.fixture
def search(store: redis.Redis) -> EventSearch:
    return EventSearch(store, KEYS, BodyCipher())


@pytest.fixture
def events(accept: Accept, claims_of: Callable[..., SingleClaims], store: redis.Redis, settings: Settings) -> None:
    """Events in all states that a worker brings them to, for one handler and for two."""
    claims = claims_of()
    person = {"id": USER, "email": EMAIL}
    for event_type, user, end in product(TYPES, (person, None), ("finish", "bury", "retry", "split", "run", "wait")):
        accept(event_type, **({"user": user} if user else {}))
        if end == "wait":
            continue
        claim = claims.claim()
        assert claim
        if end == "finish":
            claims.finish(claim, "done", an_attempt())
        elif end == "bury":
            claims.bury(claim, an_attempt()._replace(handler="mail"), "")
        elif end == "retry":
            claims.retry(claim, an_attempt()._replace(handler="crm"), "", delay_seconds=900, spends_retry=True)
        elif end == "split":
            claims.fan_out(claim, [(handler, "events", 30.0) for handler in HANDLERS])
            claims.bury(claims.claim(), an_attempt()._replace(handler="mail"), "")  # type: ignore[arg-type]
            finish(claims, store)
    upkeep = IndexUpkeep(store, KEYS, settings)
    while upkeep.finish_rows():
        pass


@pytest.mark.usefixtures("events")
def test_the_count_is_the_length_of_the_list(search: EventSearch) -> None:
    for states, values in product(STATES, product(*FIELDS.values())):
        wanted = EventFilter(states=states, **dict(zip(FIELDS, values, strict=True)))  # type: ignore[arg-type]
        found = list(search.each(wanted))

        assert search.count(wanted) == (len(found), False), wanted
    assert search.count(EventFilter(states=("dead",)))[0] > 0
    assert search.count(EventFilter(handler="mail", email=EMAIL))[0] > 0


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "wanted", [EventFilter(states=("dead",)), EventFilter(handler="mail"), EventFilter(email=EMAIL)]
)
def test_a_count_ends_where_it_would_take_long_and_says_so(
    wanted: EventFilter, search: EventSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = len(list(search.each(wanted)))
    monkeypatch.setattr("surehook.admin.counts.MOST_WORK", 1)

    counted = search.count(wanted)

    assert counted.is_more
    assert counted.number <= number
    assert search.count(wanted, at_most=None) == Count(number, is_more=False)
    page = search.page(wanted, limit=2)
    assert search.count_with(page, wanted).number >= 2
    assert search.count_with(search.page(wanted), wanted) == Count(number, is_more=False)


def test_counting_dead_letters_reads_no_records(
    die: Callable[..., str], search: EventSearch, store: redis.Redis
) -> None:
    for _ in range(12):
        die()
    wanted = EventFilter(states=("dead",))
    store.config_resetstat()

    assert search.count(wanted) == (12, False)

    stats: Any = store.info("commandstats")
    assert "cmdstat_hexists" not in stats  # as of a record that is read
    assert stats["cmdstat_evalsha"]["calls"] <= 4


def test_the_error_of_a_letter_is_that_of_its_handler_whichever_ran_last(
    accept: Accept, claims_of: Callable[..., SingleClaims], store: redis.Redis
) -> None:
    event_id, claims = accept(), claims_of()
    claims.fan_out(claims.claim(), [(handler, "events", 30.0) for handler in HANDLERS])  # type: ignore[arg-type]
    for handler in HANDLERS:
        claims.bury(claims.claim(), an_attempt()._replace(handler=handler, error=f"{handler} failed"), "")  # type: ignore[arg-type]

    letters = DeadLetters(store, KEYS, retention_seconds=3600, handler_timeout=30).matching(Filter())

    assert {letter.handler: letter.error for letter in letters} == {each: f"{each} failed" for each in HANDLERS}
    last: Any = store.lindex(KEYS.attempts(event_id), -1)
    assert json.loads(last)["handler"] == HANDLERS[-1]
