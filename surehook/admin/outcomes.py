"""Tells what became of a letter that was replayed: the result of its first run since."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import redis

from surehook.shared.failures import error_type_of, failure_of
from surehook.shared.job_id import JobId, handler_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import text
from surehook.shared.tracebacks import unpacked

SUCCEEDED = "1"  # RQ's type of a result
GROUP_DIGITS = 9  # as in groups.lua


@dataclass(frozen=True, slots=True)
class Run:
    """A replayed job, and its newest result before the replay."""

    job_id: str
    queue: str
    result: str

    @property
    def event_id(self) -> str:
        return JobId.parse(self.job_id).event_id


class Outcomes:
    """Reads the outcomes of runs. `group_id`: the group that the letters were in."""

    def __init__(self, store: redis.Redis, keys: Keys, group_id: str) -> None:
        self._store = store
        self._keys = keys
        self._group_id = group_id

    def newest_results(self, job_ids: Sequence[str]) -> list[str]:
        """The ids of the jobs' newest results, "" for one that has none."""
        pipeline = self._store.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.xrevrange(self._keys.rq_results(job_id), count=1)
        return [text(found[0][0]) if found else "" for found in pipeline.execute()]

    def of(self, run: Run) -> str:
        """Returns "" (it has not run), "succeeded", "same" (it failed in the group's way), "other" or "gone"."""
        found: Any = self._store.xrevrange(self._keys.rq_results(run.job_id), count=1)
        if found and _order(text(found[0][0])) > _order(run.result):
            if text(found[0][1].get(b"type")) == SUCCEEDED:
                return "succeeded"
            last = self._last_attempt(run)
            if last.get("outcome") == "later":
                return "succeeded"  # the handler has chosen another time
            return "same" if group_of_attempt(last) == self._group_id else "other"
        record: Any = self._store.hmget(self._keys.event(run.event_id), "type", "closed_at")
        event_type, closed_at = record
        return "gone" if event_type is None or closed_at else ""  # erased, or closed without a run

    def failed_again(self, run: Run, outcome: str) -> str:
        """Says how a run failed, without the error's message: it may quote the event, and is erased with it."""
        kind = error_type_of(str(self._last_attempt(run).get("error", "")))
        way = f"as in group {self._group_id}" if outcome == "same" else "in another way"
        return f"failed again {way}{kind and f': {kind}'}"

    def _last_attempt(self, run: Run) -> dict[str, Any]:
        handler = handler_of(run.job_id)
        for line in reversed(list(self._store.lrange(self._keys.attempts(run.event_id), 0, -1))):
            attempt: dict[str, Any] = json.loads(line)
            if handler in ("", attempt["handler"]):
                return attempt
        return {}


def group_of_attempt(attempt: dict[str, Any]) -> str:
    """The id of the group that a failed attempt would be in."""
    packed = attempt.get("traceback", "")
    failure = failure_of(str(attempt.get("error", "")), unpacked(packed) if packed else "")
    words = f"{attempt.get('handler', '')}\n{failure.fingerprint}"
    return sha1(words.encode(), usedforsecurity=False).hexdigest()[:GROUP_DIGITS]


def _order(result: str) -> tuple[int, int]:
    """Orders the ids of a stream."""
    at, _, number = result.partition("-")
    return (int(at), int(number)) if at.isdigit() and number.isdigit() else (0, 0)
