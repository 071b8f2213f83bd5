"""The events in the store: open ones, and those closed within `RETENTION`. Of older ones only the id is known."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import redis

from surehook.admin.actions import Action, read_actions
from surehook.admin.attempts import read_attempt
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text, texts

PAGE = 200
OPEN_STATES = ("waiting", "running", "scheduled", "deferred", "dead")
# Completed: a committed transaction without any handler to run afterwards.
CLOSED_STATES = ("done", "unhandled", "completed", "discarded", "rejected", "failed", "abandoned")
REPLAYABLE = ("done", "unhandled", "completed", "discarded")
FIELDS = (
    "type",
    "tenant",
    "user",
    "application",
    "source",
    "received_at",
    "closed_at",
    "outcome",
    "handlers",
    "handler",
)
LONGEST_ID = 36


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event without its body."""

    event_id: str
    event_type: str
    state: str
    received_at: datetime
    closed_at: datetime | None
    handlers: tuple[str, ...]
    tenant_id: str
    user_id: str
    application_ids: tuple[str, ...]
    source: str
    has_body: bool
    """A closed event without one cannot run again: its body has expired."""

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects events; None matches any value, empty `states` match all."""

    event_type: str | None = None
    handler: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[str, ...] = ()

    def matches(self, event: EventRecord) -> bool:
        return (
            self.event_type in (None, event.event_type)
            and (self.handler is None or self.handler in event.handlers)
            and self.user_id in (None, event.user_id)
            and self.tenant_id in (None, event.tenant_id)
            and (self.since is None or event.received_at >= self.since)
            and (self.until is None or event.received_at <= self.until)
            and (not self.states or event.state in self.states)
        )


class EventLog:
    """Reads events, and opens closed ones again."""

    def __init__(self, store: redis.Redis, keys: Keys, *, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._handler_timeout = f"{handler_timeout:g}"
        self._whereabouts = Script("locate", keys)
        self._reopen = Script("reopen", keys)
        self._known_day = Script("known_day", keys)

    def matching(self, wanted: EventFilter) -> Iterator[EventRecord]:
        """Returns events in no order. Open ones come from the open set, closed ones from a scan of all records."""
        only_open = bool(wanted.states) and set(wanted.states) <= set(OPEN_STATES)
        seen: set[str] = set()  # a scan returns some ids twice while the store rearranges its keys
        for page in self._open_ids() if only_open else self._all_ids(""):
            new = [event_id for event_id in page if event_id not in seen]
            seen.update(new)
            for event in self._read(new):
                if wanted.matches(event):
                    yield event

    def like(self, some_id: str) -> list[EventRecord]:
        """Returns the events whose id begins with the given characters."""
        some_id = some_id.lower()
        if not some_id or len(some_id) > LONGEST_ID or not set(some_id) <= set("0123456789abcdef-"):
            return []
        if len(some_id) == LONGEST_ID:
            return list(self._read([some_id]))
        return list({event.event_id: event for page in self._all_ids(some_id) for event in self._read(page)}.values())

    def known_since(self, event_id: str) -> date | None:
        """Returns the day on which an event was closed of which only the id is known, or None for any other."""
        if len(event_id) != LONGEST_ID:
            return None
        day = self._known_day.run(self._store, event_id.lower())
        return date(1970, 1, 1) + timedelta(days=int(day)) if day else None

    def attempts(self, event_id: str) -> list[dict[str, Any]]:
        return list(map(read_attempt, self._store.lrange(self._keys.attempts(event_id), 0, -1)))

    def actions(self, event_id: str) -> list[Action]:
        """The actions of operators on it, the oldest first."""
        return read_actions(text(self._store.hget(self._keys.event(event_id), "actions")))

    def body(self, event_id: str) -> bytes:
        """Returns the body as it is stored."""
        body: Any = self._store.hget(self._keys.event(event_id), "body")
        return body or b""

    def replay(self, event_id: str) -> bool:
        """Opens it again for all handlers that match it now.

        False: it is not closed, it is transactional, or its body has expired.
        """
        return bool(self._reopen.run(self._store, event_id, EVENTS_QUEUE, self._handler_timeout))

    def _open_ids(self) -> Iterator[list[str]]:
        cursor = 0
        while True:
            reply: Any = self._store.zscan(self._keys.open, cursor, count=PAGE)
            cursor, members = reply
            yield [text(member) for member, _ in members]
            if not cursor:
                return

    def _all_ids(self, beginning: str) -> Iterator[list[str]]:
        prefix = self._keys.event("")
        cursor = 0
        while True:
            reply: Any = self._store.scan(cursor, match=f"{prefix}{beginning}*", count=PAGE * 5)
            cursor, keys = reply
            yield [text(key).removeprefix(prefix) for key in keys]
            if not cursor:
                return

    def _read(self, event_ids: Sequence[str]) -> Iterator[EventRecord]:
        if not event_ids:
            return
        pipeline = self._store.pipeline(transaction=False)
        for event_id in event_ids:
            pipeline.hmget(self._keys.event(event_id), *FIELDS)
            pipeline.lindex(self._keys.attempts(event_id), -1)
            pipeline.hexists(self._keys.event(event_id), "body")
        replies = pipeline.execute()
        states = texts(self._whereabouts.run(self._store, *event_ids))
        for position, event_id in enumerate(event_ids):
            values, last, has_body = replies[3 * position : 3 * position + 3]
            record = dict(zip(FIELDS, texts(values), strict=True))
            if record["received_at"]:  # else it expired while we read
                handler = json.loads(last)["handler"] if last else ""
                yield _event(event_id, record, states[position], handler, has_body=bool(has_body))


def _event(event_id: str, record: dict[str, str], state: str, last_handler: str, *, has_body: bool) -> EventRecord:
    names = record["handlers"].split(",") if record["handlers"] else [record["handler"] or last_handler]
    return EventRecord(
        event_id=event_id,
        event_type=record["type"],
        state=record["outcome"] or state,
        received_at=_instant(record["received_at"]),
        closed_at=_instant(record["closed_at"]) if record["closed_at"] else None,
        handlers=tuple(filter(None, names)),
        tenant_id=record["tenant"],
        user_id=record["user"],
        application_ids=tuple(filter(None, record["application"].split(","))),
        source=record["source"],
        has_body=has_body,
    )


def _instant(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
