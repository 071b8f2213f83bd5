"""Erasing a running event: the handler may finish, and then the event is erased, however the run ends."""

from typing import Any

import pytest
import redis

from surehook.shared.stats import StatsReader
from tests.integration.conftest import KEYS, Accept, Erase
from tests.integration.test_leases import an_attempt, let_lapse, recover
from tests.support.ledger import ledger
from tests.support.store_dump import assert_erased

FAN = [("one", "events", 30.0), ("two", "other", 30.0)]
END = {
    "finish": lambda claims, claim: claims.finish(claim, "done", an_attempt()),
    "retry": lambda claims, claim: claims.retry(claim, an_attempt(), "tb", delay_seconds=0, spends_retry=True),
    "bury": lambda claims, claim: claims.bury(claim, an_attempt(), "tb"),
    "give back": lambda claims, claim: claims.give_back(claim, delay_seconds=0),
    "fan out": lambda claims, claim: claims.fan_out(claim, FAN),
}


@pytest.mark.parametrize("end", END.values(), ids=END)
def test_a_running_event_finishes_and_is_then_erased(
    end: Any, accept: Accept, claims_of: Any, erase: Erase, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of().claim()

    output = erase()[1]
    assert output.splitlines()[1] == f"1 still running, erased when what runs ends: {event_id}"
    assert store.hexists(f"surehook:event:{event_id}", "body")
    assert claims_of().renew([claim.key]) == []
    assert erase()[1] == output  # twice is harmless

    assert not end(claims_of(), claim)
    assert_erased(store, event_id)
    assert ledger(store) == {"open": 0, "accepted": 1, "erased": 1}


def test_an_event_of_a_dead_process_is_erased_when_the_death_is_detected(
    accept: Accept, claims_of: Any, erase: Erase, store: redis.Redis
) -> None:
    event_id = accept()
    claim = claims_of("dead").claim()
    erase()
    let_lapse(store, claim)

    assert recover(claims_of("other"), store) == ["stale"]

    assert_erased(store, event_id)
    assert claims_of().claim() is None


def test_waiting_handlers_are_erased_and_running_ones_finish(
    accept: Accept, claims_of: Any, erase: Erase, look: Any, store: redis.Redis
) -> None:
    event_id = accept()
    claims_of().fan_out(claims_of().claim(), [*FAN, ("three", "events", 30.0)])
    first, third = claims_of("a").claim(), claims_of("b").claim()

    erase()

    assert claims_of("c", "other").claim() is None
    assert look() == []
    assert not claims_of("a").finish(first, "done", an_attempt())
    assert look() == []
    assert store.hexists(f"surehook:event:{event_id}", "body")
    assert StatsReader(store, KEYS).read().drift == 0
    assert not claims_of("b").finish(third, "done", an_attempt())
    assert_erased(store, event_id)
    assert StatsReader(store, KEYS).read().drift == 0
