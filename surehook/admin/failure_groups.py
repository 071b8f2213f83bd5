"""Failure groups: the dead letters of a handler that failed in the same way, with their number.

A dead letter's group is its score in RQ's failed registry, so the numbers are right whatever removes a letter.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts

# As in scripts/lib/groups.lua.
FIRST_SCORE, LAST_SCORE = 100_000_000_000, 168_719_476_735
NOT_GROUPED = "-"
_ID_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """A way in which a handler fails."""

    group_id: str
    """Nine hexadecimal digits, the same whenever the handler fails in this way; "-" for letters without a group."""
    handler: str
    error: str
    """Masked, and without what differs from event to event."""
    frame: str
    """The file and function in which it was raised, or ""."""
    count: int
    """Dead letters now."""
    total: int
    """How often an event became a dead letter in this way."""
    first_seen: datetime | None
    last_seen: datetime | None
    sample: str
    """The event of one of the dead letters; "" if there is none."""
    is_before_change: bool
    """The handler's source has changed since it was last seen."""


class FailureGroups:
    """Reads the groups of one installation."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._read = Script("read_groups", keys)

    def read(self, *, handler: str | None = None, with_empty: bool = False) -> list[FailureGroup]:
        """The groups with dead letters, the largest first; with `with_empty`, those without any too."""
        wanted = () if handler is None else (handler,)
        rows, rest, sample = self._read.run(self._store, int(with_empty), *wanted)
        codes = self._announced_codes()
        found = [_group(codes, *row) for row in rows]
        if rest:
            error = "(not in a group yet: the next sweep of the workers does that)"
            event_id = JobId.parse(text(sample)).event_id
            found.append(
                FailureGroup(NOT_GROUPED, "", error, "", rest, rest, None, None, event_id, is_before_change=False)
            )
        return sorted(found, key=lambda group: (-group.count, group.group_id))

    def find(self, some_id: str) -> list[FailureGroup]:
        """The groups whose id begins so, at least one character."""
        some_id = some_id.lower()
        return [group for group in self.read(with_empty=True) if some_id and group.group_id.startswith(some_id)]

    def job_ids(self, group_id: str) -> Iterator[str]:
        """The jobs of a group's dead letters."""
        score = score_of(group_id)
        for queue in sorted(texts(self._store.smembers(self._keys.queues))):
            yield from texts(self._store.zrangebyscore(self._keys.rq_failed(queue), score, score))

    def event_ids(self, group_id: str) -> list[str]:
        """The events with a dead letter in a group."""
        return list(dict.fromkeys(JobId.parse(job_id).event_id for job_id in self.job_ids(group_id)))

    def _announced_codes(self) -> dict[str, str]:
        announced: Any = self._store.hgetall(self._keys.handlers)
        return {text(name): json.loads(line).get("code", "") for name, line in announced.items()}


def score_of(group_id: str) -> int:
    """The score of a group's dead letters; -1, which none of ours has, for what is no group's id."""
    return FIRST_SCORE + int(group_id, 16) if group_id and set(group_id) <= _ID_DIGITS else -1


def group_of(score: float) -> str:
    """The id of the group with this score; "" if it is no group's."""
    return f"{int(score) - FIRST_SCORE:09x}" if FIRST_SCORE <= score <= LAST_SCORE else ""


def _group(
    codes: dict[str, str],
    group_id: bytes,
    handler: bytes,
    error: bytes,
    frame: bytes,
    code: bytes,
    first_seen: bytes,
    last_seen: bytes,
    total: int,
    count: int,
    sample: bytes,
) -> FailureGroup:
    now = codes.get(text(handler), "")
    return FailureGroup(
        group_id=text(group_id),
        handler=text(handler),
        error=text(error),
        frame=text(frame),
        count=count,
        total=total,
        first_seen=_instant(first_seen),
        last_seen=_instant(last_seen),
        sample=JobId.parse(text(sample)).event_id if sample else "",
        is_before_change=bool(code and now) and text(code) != now,
    )


def _instant(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
