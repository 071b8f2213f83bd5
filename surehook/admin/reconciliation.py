"""The last statement of `surehook reconcile`: how complete the events of its period are."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from surehook.shared.keys import Keys


@dataclass(frozen=True, slots=True)
class LastStatement:
    """The findings of the last run. They have ids of events, and no personal data."""

    since: str
    until: str
    saved_at: datetime
    is_complete: bool
    counts: dict[str, int]
    """By name: `fired`, `arrived`, `recovered` and so on, as the command's JSON has them."""
    sentences: tuple[str, ...]
    problems: tuple[str, ...]
    """Reasons why FusionAuth's log may have gaps."""
    decided_until: datetime | None
    """All events that FusionAuth fired before it are decided."""


def last_statement(store: redis.Redis, keys: Keys) -> LastStatement | None:
    """Returns None before the first run."""
    kept = store.hget(keys.reconciled, "statement")
    if kept is None:
        return None
    found = json.loads(kept)
    until = found["decided_until"]
    return LastStatement(
        since=found["since"],
        until=found["until"],
        saved_at=datetime.fromtimestamp(found["saved_at"], UTC),
        is_complete=found["complete"],
        counts={name: value for name, value in found.items() if type(value) is int and name != "decided_until"},
        sentences=tuple(found["sentences"]),
        problems=tuple(found["problems"]),
        decided_until=None if until is None else datetime.fromtimestamp(until / 1000, UTC),
    )
