"""Refused transactions, and orphans: lists them, resolves orphans, replays events that FusionAuth committed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text, texts

ORPHANED = "orphaned"
REFUSALS = ("rejected", "failed", "abandoned")
UNANSWERED = "unanswered"
"""A confirmed success whose sender got an error, or had gone."""
STATES = (ORPHANED, UNANSWERED, *REFUSALS)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one transactional event. `reason` is the refusal's message, masked.

    An erased event has only its id.
    """

    event_id: str
    state: str
    decided_at: datetime
    event_type: str
    tenant_id: str
    user_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer that FusionAuth got for a transactional event."""

    decision: str
    decided_at: datetime | None
    """None for an erased event."""
    is_orphan: bool


class Decisions:
    """Reads decisions, resolves orphans, replays committed events."""

    def __init__(self, store: redis.Redis, keys: Keys, *, retention_seconds: int, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._retention_seconds = retention_seconds
        self._handler_timeout = f"{handler_timeout:g}"
        self._resolve = Script("txn_resolve", keys)
        self._committed = Script("txn_committed", keys)

    def listed(self, state: str) -> Iterator[Decision]:
        """Returns the newest first. An orphan stays until it is resolved, any other for RETENTION."""
        members: Any = self._store.zrange(self._list_of(state), 0, -1, desc=True, withscores=True)
        for event_id, at_ms in members:
            *record, outcome = self._store.hmget(
                self._keys.event(text(event_id)), "type", "tenant", "user", "reason", "outcome"
            )
            if record[0] is None and (state != ORPHANED or outcome is None):
                continue  # expired just now, or erased; the id of an unresolved orphan is kept
            event_type, tenant_id, user_id, reason = (text(value or b"") for value in record)
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            yield Decision(text(event_id), state, at, event_type, tenant_id, user_id, reason)

    def answer_of(self, event_id: str) -> Answer | None:
        """Returns None for an event that is not transactional, or not decided yet."""
        decision, at = self._store.hmget(self._keys.event(event_id), "decision", "decided_at")
        if decision is None:
            return None
        decided_at = datetime.fromtimestamp(float(text(at)) / 1000, UTC) if at else None
        return Answer(text(decision), decided_at, self._store.zscore(self._keys.orphans, event_id) is not None)

    def like(self, some_id: str, *states: str) -> list[str]:
        """Returns the ids with these states that begin with the given characters."""
        members = (member for state in states for member in texts(self._store.zrange(self._list_of(state), 0, -1)))
        return sorted({member for member in members if some_id and member.startswith(some_id.lower())})

    def _list_of(self, state: str) -> str:
        return self._keys.orphans if state == ORPHANED else self._keys.decided(state)

    def handlers_of(self, event_id: str) -> set[str]:
        """Returns the handlers that ran for it, according to the kept attempts."""
        lines: Any = self._store.lrange(self._keys.attempts(event_id), 0, -1)
        return {json.loads(line)["handler"] for line in lines}

    def resolve(self, event_id: str) -> bool:
        """Records that an orphan is resolved. Returns False if it is no orphan."""
        return bool(self._resolve.run(self._store, event_id, self._retention_seconds))

    def is_refused(self, event_id: str) -> bool:
        """Says whether `replay_committed` accepts it."""
        decision, closed_at, body = self._store.hmget(self._keys.event(event_id), "decision", "closed_at", "body")
        return closed_at is not None and body is not None and text(decision) in REFUSALS

    def replay_committed(self, event_id: str) -> bool:
        """Runs all handlers of an event that FusionAuth committed although it was refused, with retries.

        False: it is no refused transaction, or its effects are still being undone.
        """
        return bool(self._committed.run(self._store, event_id, EVENTS_QUEUE, self._handler_timeout))
