"""Bulk actions for tests: the actions of the tests' store, and a started one."""

from typing import Any

import pytest
import redis

from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.keys import Keys

KEYS = Keys()


@pytest.fixture
def bulk(store: redis.Redis, dead_letters: DeadLetters) -> BulkActions:
    return BulkActions(store, KEYS, dead_letters)


def start(bulk: BulkActions, verb: str = REPLAY, wanted: Filter | None = None, **options: Any) -> BulkAction:
    plan = bulk.plan(verb, wanted or Filter(), who="ann", **options)
    return bulk.start(plan.action_id, who="ann")
