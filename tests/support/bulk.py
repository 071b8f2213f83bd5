"""Bulk actions for tests: the actions of the tests' store, and a started one."""

from typing import Any

import pytest
import redis

from surehook.admin import portions
from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.event_records import EventFilter
from surehook.admin.events import EventLog
from surehook.shared.keys import Keys

KEYS = Keys()


@pytest.fixture
def bulk(store: redis.Redis, dead_letters: DeadLetters) -> BulkActions:
    return BulkActions(store, KEYS, dead_letters, EventLog(store, KEYS, handler_timeout=30))


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of one, so that a test can intervene after each step."""
    monkeypatch.setattr(portions, "AT_ONCE", 1)


def start(
    bulk: BulkActions, verb: str = REPLAY, wanted: Filter | EventFilter | None = None, **options: Any
) -> BulkAction:
    plan = bulk.plan(verb, wanted or Filter(), who="ann", **options)
    return bulk.start(plan.action_id, who="ann")


def lose_lease(store: redis.Redis, action: BulkAction) -> None:
    """As if the time of its runner's lease had passed."""
    store.hset(KEYS.bulk_action(action.action_id), "lease_until", 1)
