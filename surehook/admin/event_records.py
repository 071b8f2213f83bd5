"""Event records as commands and pages show them: without their bodies."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, texts, whole_number

AT_ONCE = 200
WHOLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OPEN_STATES = ("waiting", "running", "scheduled", "deferred", "dead")
# Completed: a committed transaction without any handler to run afterwards.
CLOSED_STATES = ("done", "unhandled", "completed", "discarded", "rejected", "failed", "abandoned")
STATE_GROUPS = {"open": OPEN_STATES, "closed": CLOSED_STATES}
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
    "row",
)


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
    row: int = -1
    """The number of its row in the index of closed events; -1 for an event without one."""

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects events; None matches any value, empty `states` match all. Ids are in lower case."""

    event_type: str | None = None
    handler: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[str, ...] = ()
    application_id: str | None = None
    email: str | None = None
    """The address of the event's user. It is no field of a record, so `matches` does not compare it."""
    hashed_email: str | None = None
    """The hash of the address, in hexadecimal digits: what the index of closed events has."""
    group_id: str | None = None
    """A failure group: events with a dead letter in it, which are open. It is no field of a record, either."""

    @property
    def open_states(self) -> tuple[str, ...]:
        return tuple(state for state in OPEN_STATES if not self.states or state in self.states)

    @property
    def closed_states(self) -> tuple[str, ...]:
        if self.group_id is not None:
            return ()
        return tuple(state for state in CLOSED_STATES if not self.states or state in self.states)

    def matches(self, event: EventRecord) -> bool:
        return (
            self.event_type in (None, event.event_type)
            and (self.handler is None or self.handler in event.handlers)
            and self.user_id in (None, event.user_id)
            and self.tenant_id in (None, event.tenant_id)
            and (self.application_id is None or self.application_id in event.application_ids)
            and (self.since is None or event.received_at >= self.since)
            and (self.until is None or event.received_at <= self.until)
            and (not self.states or event.state in self.states)
        )


class RecordReader:
    """Reads the records of events."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._locate = Script("locate", keys)

    def read(self, event_ids: Sequence[str]) -> Iterator[EventRecord]:
        """Returns the events that exist, in the same order."""
        for start in range(0, len(event_ids), AT_ONCE):
            yield from self._read(event_ids[start : start + AT_ONCE])

    def _read(self, event_ids: Sequence[str]) -> Iterator[EventRecord]:
        pipeline = self._store.pipeline(transaction=False)
        for event_id in event_ids:
            pipeline.hmget(self._keys.event(event_id), *FIELDS)
            pipeline.lindex(self._keys.attempts(event_id), -1)
            pipeline.hexists(self._keys.event(event_id), "body")
        replies = pipeline.execute()
        open_ids = [
            each for position, each in enumerate(event_ids) if replies[3 * position][FIELDS.index("outcome")] is None
        ]
        states = texts(self._locate.run(self._store, *open_ids)) if open_ids else []
        state_of = dict(zip(open_ids, states, strict=True))
        for position, event_id in enumerate(event_ids):
            values, last, has_body = replies[3 * position : 3 * position + 3]
            record = dict(zip(FIELDS, texts(values), strict=True))
            if whole_number(record["received_at"]):  # else it expired while we read, or was changed by hand
                handler = json.loads(last)["handler"] if last else ""
                yield _event(event_id, record, state_of.get(event_id, ""), handler, has_body=bool(has_body))


def instant_of(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds_of(instant: datetime) -> float:
    return instant.timestamp() * 1000


def _event(event_id: str, record: dict[str, str], state: str, last_handler: str, *, has_body: bool) -> EventRecord:
    names = record["handlers"].split(",") if record["handlers"] else [record["handler"] or last_handler]
    return EventRecord(
        event_id=event_id,
        event_type=record["type"],
        state=record["outcome"] or state,
        received_at=instant_of(float(record["received_at"])),
        closed_at=instant_of(float(record["closed_at"])) if record["closed_at"] else None,
        handlers=tuple(filter(None, names)),
        tenant_id=record["tenant"],
        user_id=record["user"],
        application_ids=tuple(filter(None, record["application"].split(","))),
        source=record["source"],
        has_body=has_body,
        row=int(record["row"] or -1),
    )
