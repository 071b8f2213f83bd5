"""Transactions that ended with a no, and orphans: listing them, and what a person decides about them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text

ORPHANED = "orphaned"
NOES = ("rejected", "failed", "abandoned")
STATES = (ORPHANED, *NOES)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one transactional event. `reason` is a veto's words, masked. Of an erased one the id is known."""

    event_id: str
    state: str
    decided_at: datetime
    event_type: str
    tenant_id: str
    user_id: str
    reason: str


class Decisions:
    """Read, resolve, replay as a fact."""

    def __init__(self, store: redis.Redis, keys: Keys, *, retention_seconds: int, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._retention_seconds = retention_seconds
        self._handler_timeout = f"{handler_timeout:g}"
        self._resolve = Script("txn_resolve", keys)
        self._as_fact = Script("txn_committed", keys)

    def listed(self, state: str) -> Iterator[Decision]:
        """The newest first. An orphan stays until it is resolved, any other for RETENTION."""
        key = self._keys.orphans if state == ORPHANED else self._keys.decided(state)
        members: Any = self._store.zrange(key, 0, -1, desc=True, withscores=True)
        for event_id, at_ms in members:
            *record, outcome = self._store.hmget(
                self._keys.event(text(event_id)), "type", "tenant", "user", "reason", "outcome"
            )
            if record[0] is None and (state != ORPHANED or outcome is None):
                continue  # expired just now, or erased: of an orphan somebody has to look after, the id is left
            event_type, tenant_id, user_id, reason = (text(value or b"") for value in record)
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            yield Decision(text(event_id), state, at, event_type, tenant_id, user_id, reason)

    def handlers_of(self, event_id: str) -> set[str]:
        """Those that ran for it, as far as is remembered."""
        lines: Any = self._store.lrange(self._keys.attempts(event_id), 0, -1)
        return {json.loads(line)["handler"] for line in lines}

    def resolve(self, event_id: str) -> bool:
        """A person has looked after an orphan. False: it is none (any more)."""
        return bool(self._resolve.run(self._store, event_id, self._retention_seconds))

    def may_be_fact(self, event_id: str) -> bool:
        """Whether `replay_as_fact` would take it."""
        decision, closed_at, body = self._store.hmget(self._keys.event(event_id), "decision", "closed_at", "body")
        return closed_at is not None and body is not None and text(decision) in NOES

    def replay_as_fact(self, event_id: str) -> bool:
        """FusionAuth went ahead although we said no: all handlers of the event run on the retrying queue.

        False: it is no transaction that ended with a no, or what it left is still being undone.
        """
        return bool(self._as_fact.run(self._store, event_id, EVENTS_QUEUE, self._handler_timeout))
