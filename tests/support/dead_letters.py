"""Fixtures for tests of dead letters: the command, the groups, and a way to make letters."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from surehook.admin.failure_groups import FailureGroups
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.queue import acks
from tests.support.command import Surehook, command_on
from tests.support.order_machine import an_attempt

KEYS = Keys()
Accept = Callable[..., str]


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


@pytest.fixture
def groups(store: redis.Redis) -> FailureGroups:
    return FailureGroups(store, KEYS)


@pytest.fixture
def die(accept: Accept, claims_of: Any) -> Callable[..., str]:
    """Store an event and bury it with an error."""

    def die(error: str = "ValueError: no plan", handler: str = "it", code: str = "", **fields: Any) -> str:
        event_id = accept(**fields)
        claims = claims_of()
        claim = claims.claim()
        assert claims.acknowledge(acks.bury(claim, an_attempt(handler)._replace(error=error), "", code=code))
        return event_id

    return die


def counts(groups: FailureGroups) -> list[tuple[str, str, int]]:
    return [(group.handler, group.error, group.count) for group in groups.read()]
