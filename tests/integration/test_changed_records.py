"""Events whose records were changed by hand still close."""

from typing import Any

import redis

from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import KEYS, Accept


def test_an_event_whose_arrival_is_no_number_closes_and_hinders_no_other(
    store: redis.Redis, accept: Accept, claims_of: Any, settings: Settings
) -> None:
    event_id = accept("user.create")
    store.hset(KEYS.event(event_id), "received_at", "-")
    claims = claims_of()
    claim = claims.claim()

    claims.finish(claim, "done", None)
    IndexUpkeep(store, KEYS, settings).walk()

    assert store.hget(KEYS.event(event_id), "outcome") == b"done"
