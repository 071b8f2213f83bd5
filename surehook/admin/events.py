"""The events in the store: open ones, and those closed within `RETENTION`. Of older ones only the id is known."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import redis

from surehook.admin.actions import Action, read_actions
from surehook.admin.attempts import read_attempt
from surehook.admin.event_records import (
    CLOSED_STATES,
    OPEN_STATES,
    REPLAYABLE,
    WHOLE_ID,
    EventFilter,
    EventRecord,
)
from surehook.admin.portions import AT_ONCE
from surehook.admin.search import EventSearch
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text

__all__ = ["CLOSED_STATES", "OPEN_STATES", "REPLAYABLE", "EventFilter", "EventLog", "EventRecord"]


class EventLog:
    """Reads events, and opens closed ones again."""

    def __init__(
        self, store: redis.Redis, keys: Keys, *, handler_timeout: float, cipher: BodyCipher | None = None
    ) -> None:
        self._store = store
        self._keys = keys
        self._cipher = cipher or BodyCipher()
        self.search = EventSearch(store, keys, self._cipher)
        self._handler_timeout = f"{handler_timeout:g}"
        self._reopen = Script("reopen", keys)
        self._known_day = Script("known_day", keys)

    def matching(self, wanted: EventFilter) -> Iterator[EventRecord]:
        """Returns events, the newest first."""
        return self.search.each(wanted)

    def like(self, some_id: str) -> list[EventRecord]:
        """Returns the events whose id begins with the given characters, at most 20."""
        return self.search.beginning_with(some_id)

    def known_since(self, event_id: str) -> date | None:
        """Returns the day on which an event was closed of which only the id is known, or None for any other."""
        event_id = event_id.lower()
        if not WHOLE_ID.fullmatch(event_id):
            return None
        day = self._known_day.run(self._store, event_id)
        return date(1970, 1, 1) + timedelta(days=int(day)) if day else None

    def attempts(self, event_id: str) -> list[dict[str, Any]]:
        return list(map(read_attempt, self._store.lrange(self._keys.attempts(event_id), 0, -1)))

    def actions(self, event_id: str) -> list[Action]:
        """The actions of operators on it, the oldest first."""
        return read_actions(text(self._store.hget(self._keys.event(event_id), "actions")))

    def body(self, event_id: str) -> bytes:
        """Returns the body as it came; nothing if it has expired.

        Raises:
            KeyMissing: its key is not configured here.
            BodyDamaged: its key does not decrypt it.
        """
        record: Any = self._store.hmget(self._keys.event(event_id), "body", "key_id")
        body, key_id = record
        return self._cipher.decrypt(body, text(key_id)) if body else b""

    def replay(self, event_id: str, *, who: str = "", reason: str = "") -> bool:
        """Opens it again for all handlers that match it now.

        False: it is not closed, it is transactional, or its body has expired.
        """
        return self.replay_many([event_id], who=who, reason=reason) == [1]

    def replay_many(
        self, event_ids: Sequence[str], *, who: str = "", reason: str = "", step: tuple[str, ...] = ()
    ) -> list[int]:
        """Returns 1 for each that was opened, and 0 for others.

        `step` makes it a part of a bulk action: see `bulk_run.py`. -1: the action was stopped, or is another's.
        """
        calls = [(event_id, EVENTS_QUEUE, self._handler_timeout, who, reason, *step) for event_id in event_ids]
        return [
            int(opened)
            for start in range(0, len(calls), AT_ONCE)
            for opened in self._reopen.run_many(self._store, calls[start : start + AT_ONCE])
        ]
