"""Bulk actions: a replay or discard of many dead letters, planned, started, stopped and resumed by commands and pages.

1. A plan keeps the filter, and the number of letters that match. It expires unless it is started.
2. A runner takes a started action under a lease, and replays or discards one letter after the other
   (`bulk_run.py`). Each step is one script that counts itself, so a runner may be killed anywhere.
3. A letter that died after the plan was made is left alone, so nothing is replayed twice by one action or by two.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from typing import Any

import redis

from surehook.admin.audit import masked_user
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.shared.errors import NotFound, SurehookError
from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

REPLAY, DISCARD = "replay", "discard"
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
    filter: Filter
    who: str
    reason: str
    rate: float | None
    planned: int
    """Letters that matched when it was planned."""
    sample: tuple[str, ...]
    """Events of some of them."""
    done: int
    skipped: int
    """Letters that were dead no longer, or again."""
    canary: str
    """The job of the first letter."""
    canary_queue: str
    canary_result: str
    """The job's newest result before it ran again."""
    has_canary_succeeded: bool
    note: str
    """Why it was stopped, as a sentence."""
    planned_at: str
    """In RQ's format, on the store's clock."""
    created_at: datetime
    updated_at: datetime

    @property
    def needs_canary(self) -> bool:
        """The letters of a group failed in the same way: one of them shows if that is mended."""
        return self.verb == REPLAY and self.filter.group_id is not None


class BulkActions:
    """The bulk actions of one installation."""

    def __init__(self, store: redis.Redis, keys: Keys, letters: DeadLetters) -> None:
        self.store = store
        self.keys = keys
        self.letters = letters
        self._plan, self._start, self._stop = (Script(f"bulk_{name}", keys) for name in ("plan", "start", "stop"))

    def plan(self, verb: str, wanted: Filter, *, who: str, reason: str = "", rate: float | None = None) -> BulkAction:
        """Counts what matches now, and keeps the plan for an hour."""
        seconds, micros = self.store.time()
        planned_at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros, tzinfo=None)
        count = 0
        sample: list[str] = []
        for letter in self.letters.matching(wanted):
            count += 1
            if len(sample) < SAMPLE:
                sample.append(letter.event_id)
        action_id = token_hex(4)
        fields = {
            "verb": verb,
            "filter": json.dumps(_packed(wanted)),
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

    def start(self, action_id: str, *, who: str) -> BulkAction:
        """Starts it, or resumes one that was stopped or interrupted. A runner takes it then.

        Raises:
            ActionRefused: it is running, or done.
            NotFound: there is no such action (any more).
        """
        outcome = text(self._start.run(self.store, action_id, who))
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
        fields: Any = self.store.hgetall(self.keys.bulk_action(action_id))
        if not fields:
            raise NotFound(f"there is no action {action_id} (any more); `surehook actions list` shows them")
        seconds, _ = self.store.time()
        return _action(action_id, {text(name): text(value) for name, value in fields.items()}, seconds * 1000)

    def newest(self, limit: int = MOST_KEPT) -> list[BulkAction]:
        """The actions that are kept, the newest first."""
        found = []
        for action_id in texts(self.store.zrevrange(self.keys.bulk_actions, 0, limit - 1)):
            try:
                found.append(self.get(action_id))
            except NotFound:
                continue  # it has expired
        return found


def described(wanted: Filter) -> str:
    """A filter as an entry of the audit names it, without the id of a user."""
    given = {name: value for name, value in _packed(wanted).items() if name != "user_id"}
    parts = [f"{name.removesuffix('_id').replace('event_', '')} {value}" for name, value in given.items()]
    if wanted.user_id:
        parts.append(masked_user(wanted.user_id))
    return "dead letters: " + (", ".join(parts) or "all")


def _packed(wanted: Filter) -> dict[str, str]:
    given = {name: value for name, value in asdict(wanted).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


def _unpacked(packed: str) -> Filter:
    given: dict[str, Any] = json.loads(packed)
    for name in ("since", "until"):
        if name in given:
            given[name] = datetime.fromisoformat(given[name])
    return Filter(**given)


def _action(action_id: str, fields: dict[str, str], now_ms: int) -> BulkAction:
    state = BulkState(fields["state"])
    if state is BulkState.RUNNING and float(fields.get("lease_until", 0)) <= now_ms:
        state = BulkState.INTERRUPTED
    return BulkAction(
        action_id=action_id,
        verb=fields["verb"],
        state=state,
        filter=_unpacked(fields["filter"]),
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
        planned_at=fields["planned_at"],
        created_at=_instant(fields["created_at"]),
        updated_at=_instant(fields["updated_at"]),
    )


def _instant(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def event_of_canary(action: BulkAction) -> str:
    """The event of the first letter, or ""."""
    return JobId.parse(action.canary).event_id if action.canary else ""
