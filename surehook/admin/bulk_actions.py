"""Bulk actions: acts on many dead letters or closed events, which commands and pages plan, start, stop and resume.

1. A plan keeps the filter, and how many match. It expires unless it is started.
2. A runner, which is a command or a thread of a dashboard, takes a started action under a lease, and replays or
   discards what matches (`bulk_run.py`). Each step is one script that counts itself, so it may be killed anywhere.
3. A letter that died, or an event that was closed, after the plan was made is left alone, so nothing is replayed twice
   by one action or by two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from secrets import token_hex

import redis

from surehook.admin.bulk_filters import described, pack, unpack
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import EventFilter, EventLog
from surehook.shared.errors import NotFound, SurehookError
from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

REPLAY, DISCARD = "replay", "discard"
DONE_WORDS = {REPLAY: "replayed", DISCARD: "discarded"}
# The states of closed events that run again unless a filter names one.
BY_DEFAULT = ("done", "unhandled", "completed")
SAMPLE = 5
MOST_KEPT = 100
PLAN_SECONDS = 3600


class ActionRefused(SurehookError):
    """A bulk action cannot be started or stopped; the text says why."""


class BulkState(StrEnum):
    """The state of a bulk action."""

    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """It was started, and no process runs it."""
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class BulkAction:
    """A bulk action as it stands."""

    action_id: str
    verb: str
    state: BulkState
    filter: Filter | EventFilter
    who: str
    reason: str
    rate: float | None
    planned: int
    """How many matched when it was planned."""
    sample: tuple[str, ...]
    """The ids of some of the events."""
    done: int
    skipped: int
    """Letters that were dead no longer, or again; events that were closed no longer, or again, or without a body."""
    canary: str
    """The job of the first letter."""
    canary_queue: str
    canary_result: str
    """The job's newest result before it ran again."""
    has_canary_succeeded: bool
    note: str
    """Why it was stopped, as a sentence."""
    stopped_by: str
    """The person who stopped it; "" if it stopped by itself."""
    is_for_dashboard: bool
    """It was started from a page: any dashboard runs it, and takes it over from one that has ended."""
    planned_at: str
    """In RQ's format, on the store's clock."""
    created_at: datetime
    updated_at: datetime

    @property
    def needs_canary(self) -> bool:
        """The letters of a group failed in the same way: one of them shows if that is mended."""
        return self.verb == REPLAY and bool(self.group_id)

    @property
    def has_stopped_itself(self) -> bool:
        return self.state is BulkState.STOPPED and not self.stopped_by

    @property
    def group_id(self) -> str:
        return (isinstance(self.filter, Filter) and self.filter.group_id) or ""


class BulkActions:
    """The bulk actions of one installation."""

    def __init__(self, store: redis.Redis, keys: Keys, letters: DeadLetters, events: EventLog) -> None:
        self.store = store
        self.keys = keys
        self.letters = letters
        self.events = events
        self._plan, self._start, self._stop = (Script(f"bulk_{name}", keys) for name in ("plan", "start", "stop"))

    def plan(
        self, verb: str, wanted: Filter | EventFilter, *, who: str, reason: str = "", rate: float | None = None
    ) -> BulkAction:
        """Counts what matches now, and keeps the plan for an hour. Closed events can only be replayed."""
        seconds, micros = self.store.time()
        planned_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros, tzinfo=None)
        if isinstance(wanted, EventFilter):
            if verb != REPLAY:
                raise ValueError(f"closed events cannot be {DONE_WORDS[verb]}")
            # The plan must not hold an address that can be read.
            wanted = self.events.search.with_hashed_email(replace(wanted, states=wanted.states or BY_DEFAULT))
            count, sample = self._closed(wanted)
        else:
            count, sample = self._dead(wanted)
        action_id = token_hex(4)
        fields = {
            "verb": verb,
            "filter": pack(wanted),
            "target": described(wanted),
            "who": who,
            "reason": reason,
            "rate": rate or "",
            "planned": count,
            "sample": ",".join(sample),
            "planned_at": f"{planned_at.isoformat(timespec='microseconds')}Z",
        }
        flat = [part for pair in fields.items() for part in pair]
        self._plan.run(self.store, action_id, PLAN_SECONDS, MOST_KEPT, *flat)
        return self.get(action_id)

    def _dead(self, wanted: Filter) -> tuple[int, list[str]]:
        sample = [letter.event_id for letter in islice(self.letters.matching(wanted), SAMPLE)]
        return self.letters.count(wanted), sample

    def _closed(self, wanted: EventFilter) -> tuple[int, list[str]]:
        newest = self.events.search.page(wanted, limit=SAMPLE).events
        return self.events.search.count(wanted, at_most=None).number, [event.event_id for event in newest]

    def start(
        self, action_id: str, *, who: str, for_dashboard: bool = False, changes: Mapping[str, str] | None = None
    ) -> BulkAction:
        """Starts it, or resumes one that was stopped or interrupted. A runner takes it then.

        `changes`: another `reason` or `rate`; "" for no limit of the rate.

        Raises:
            ActionRefused: it is running, or done.
            NotFound: there is no such action (any more).
        """
        words = [word for change in (changes or {}).items() for word in change]
        outcome = text(self._start.run(self.store, action_id, who, "1" if for_dashboard else "", *words))
        if outcome == "running":
            raise ActionRefused(f"action {action_id} is running; `surehook actions list` shows how far it is")
        if outcome == "done":
            raise ActionRefused(f"action {action_id} is done: plan another one")
        return self.get(action_id)

    def stop(self, action_id: str, *, who: str) -> BulkAction:
        """Stops it: its runner ends before its next step. What was done stays done.

        Raises:
            ActionRefused: it does not run.
            NotFound: there is no such action (any more).
        """
        if not self._stop.run(self.store, action_id, "", BulkState.STOPPED, f"stopped by {who}", who):
            action = self.get(action_id)
            raise ActionRefused(f"action {action_id} is {action.state}, so there is nothing to stop")
        return self.get(action_id)

    def get(self, action_id: str) -> BulkAction:
        """
        Raises:
            NotFound: there is no such action (any more).
        """
        found = self._read([action_id])
        if not found:
            raise NotFound(f"there is no action {action_id[:40]} (any more); `surehook actions list` shows them")
        return found[0]

    def newest(self, limit: int = MOST_KEPT) -> list[BulkAction]:
        """The actions that are kept, the newest first."""
        return self._read(texts(self.store.zrevrange(self.keys.bulk_actions, 0, limit - 1)))

    def _read(self, action_ids: Sequence[str]) -> list[BulkAction]:
        """The actions of these ids that have not expired."""
        pipeline = self.store.pipeline(transaction=False)
        pipeline.time()
        for action_id in action_ids:
            pipeline.hgetall(self.keys.bulk_action(action_id))
        (seconds, _), *records = pipeline.execute()
        return [
            _action(action_id, {text(name): text(value) for name, value in fields.items()}, seconds * 1000)
            for action_id, fields in zip(action_ids, records, strict=True)
            if fields
        ]


def _action(action_id: str, fields: dict[str, str], now_ms: int) -> BulkAction:
    state = BulkState(fields["state"])
    if state is BulkState.RUNNING and float(fields.get("lease_until", 0)) <= now_ms:
        state = BulkState.INTERRUPTED
    return BulkAction(
        action_id=action_id,
        verb=fields["verb"],
        state=state,
        filter=unpack(fields["filter"]),
        who=fields["who"],
        reason=fields["reason"],
        rate=float(fields["rate"]) if fields["rate"] else None,
        planned=int(fields["planned"]),
        sample=tuple(filter(None, fields["sample"].split(","))),
        done=int(fields.get("done", 0)),
        skipped=int(fields.get("skipped", 0)),
        canary=fields.get("canary", ""),
        canary_queue=fields.get("canary_queue", ""),
        canary_result=fields.get("canary_result", ""),
        has_canary_succeeded="canary_succeeded" in fields,
        note=fields.get("note", ""),
        stopped_by=fields.get("stopped_by", ""),
        is_for_dashboard=fields.get("for_dashboard") == "1",
        planned_at=fields["planned_at"],
        created_at=_instant(fields["created_at"]),
        updated_at=_instant(fields["updated_at"]),
    )


def _instant(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def event_of_canary(action: BulkAction) -> str:
    """The event of the first letter, or ""."""
    return JobId.parse(action.canary).event_id if action.canary else ""
