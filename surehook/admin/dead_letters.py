"""Dead letters: RQ's failed registries, read with the records of their events."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from surehook.admin.attempts import read_attempt
from surehook.admin.failure_groups import group_of, score_of
from surehook.admin.portions import AT_ONCE
from surehook.shared.job_id import JobId, handler_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts
from surehook.shared.tracebacks import unpacked

PAGE = 200
Step = tuple[str, ...]
"""The arguments that make an act a step of a bulk action: see `bulk_run.py`."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that will not run again by itself for one handler, and why."""

    job_id: str
    queue: str
    event_type: str
    handler: str
    tenant_id: str
    user_id: str
    died_at: datetime | None
    error: str
    group_id: str = ""
    """See `failure_groups.py`; "" if it is in no group yet."""

    @property
    def event_id(self) -> str:
        return JobId.parse(self.job_id).event_id


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects dead letters; None matches any value."""

    event_type: str | None = None
    handler: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    group_id: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def matches(self, letter: DeadLetter) -> bool:
        return (
            self.event_type in (None, letter.event_type)
            and self.handler in (None, letter.handler)
            and self.user_id in (None, letter.user_id)
            and self.tenant_id in (None, letter.tenant_id)
            and (self.since is None or (letter.died_at is not None and letter.died_at >= self.since))
            and (self.until is None or (letter.died_at is not None and letter.died_at <= self.until))
            and (self.error is None or self.error.lower() in letter.error.lower())
            and self.group_id in (None, letter.group_id)
        )


class DeadLetters:
    """Reads, replays and discards dead letters."""

    def __init__(self, store: redis.Redis, keys: Keys, *, retention_seconds: int, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._retention_seconds = retention_seconds
        self._handler_timeout = f"{handler_timeout:g}"
        self._look = Script("read_letters", keys)
        self._replay = Script("replay", keys)
        self._discard = Script("discard", keys)

    def matching(self, filter_: Filter) -> Iterator[DeadLetter]:
        """Yields dead letters; other applications' failed jobs are none of them.

        Takes a snapshot of the ids first: a job that is replayed and fails again is not returned twice.
        """
        for queue in self._queues():
            found = self._scores(queue, filter_.group_id)
            for start in range(0, len(found), PAGE):
                for letter in self._read(queue, found[start : start + PAGE]):
                    if filter_.matches(letter):
                        yield letter

    def count(self, filter_: Filter) -> int:
        """How many match. Those of a group are not read: its score has none but ours."""
        if filter_.group_id is None or filter_ != Filter(group_id=filter_.group_id):
            return sum(1 for _ in self.matching(filter_))
        score = score_of(filter_.group_id)
        return sum(int(self._store.zcount(self._keys.rq_failed(queue), score, score)) for queue in self._queues())

    def with_job_ids(self, job_ids: Sequence[str]) -> list[DeadLetter]:
        """Returns the jobs that are dead letters now."""
        found: list[DeadLetter] = []
        for queue in self._queues() if job_ids else ():
            scores: Any = self._store.zmscore(self._keys.rq_failed(queue), list(job_ids))
            there = [(job_id, score) for job_id, score in zip(job_ids, scores, strict=True) if score is not None]
            found += self._read(queue, there)
        return found

    def of(self, some_id: str) -> list[DeadLetter]:
        """Returns the dead letters whose job id begins with the given characters, at least one."""
        found: list[DeadLetter] = []
        for queue in self._queues() if some_id else ():
            scores = self._scores(queue, None)
            like = [(job_id, score) for job_id, score in scores if job_id.lower().startswith(some_id.lower())]
            found += self._read(queue, like)
        return found

    def attempts(self, letter: DeadLetter) -> list[dict[str, Any]]:
        lines = self._store.lrange(self._keys.attempts(letter.event_id), 0, -1)
        return [attempt for attempt in map(read_attempt, lines) if attempt["handler"] in ("", letter.handler)]

    def traceback(self, letter: DeadLetter) -> str:
        newest: Any = self._store.xrevrange(self._keys.rq_results(letter.job_id), count=1)
        packed = newest[0][1].get(b"exc_string") if newest else None
        return unpacked(packed) if packed else ""

    def replay(self, letter: DeadLetter, *, who: str = "", reason: str = "") -> int:
        """Queues it with all its retries. Returns 1, or 0 if it is no dead letter any more."""
        return self.replay_many([letter], who=who, reason=reason)[0]

    def replay_many(
        self, letters: Sequence[DeadLetter], *, who: str = "", reason: str = "", steps: Sequence[Step] = ()
    ) -> list[int]:
        """Returns for each what `replay` does; with `steps` -1 too: the bulk action was stopped, or is another's."""
        return self._act_on(letters, self._replay, (self._handler_timeout, who, reason), steps)

    def replay_job(self, job_id: str, *, who: str = "") -> int:
        """Queues a dead letter with all its retries. Returns 1, or 0 if the job is no dead letter (any more)."""
        if not self._is_ours(job_id):
            return 0
        queue = text(self._store.hget(self._keys.rq_job(job_id), "origin")) or self._queue_where_dead(job_id)
        return int(self._replay.run(self._store, queue, job_id, self._handler_timeout, who)) if queue else 0

    def replay_queue(self, queue: str, *, who: str = "") -> int:
        """Queues all dead letters of a queue and returns their number; one that no longer exists is skipped."""
        ids = texts(self._store.zrange(self._keys.rq_failed(queue), 0, -1))
        count = 0
        for start in range(0, len(ids), AT_ONCE):
            ours = filter(self._is_ours, ids[start : start + AT_ONCE])
            calls = [(queue, job_id, self._handler_timeout, who) for job_id in ours]
            count += sum(map(int, self._replay.run_many(self._store, calls)))
        return count

    def is_foreign(self, job_id: str) -> bool:
        """Tells other applications' jobs from ours: RQ keeps them in the same place."""
        return bool(self._store.exists(self._keys.rq_job(job_id))) and not self._is_ours(job_id)

    def queues(self) -> set[str]:
        """Returns the queues that our jobs are or were on."""
        return set(texts(self._store.smembers(self._keys.queues)))

    def discard(self, letter: DeadLetter, *, who: str = "", reason: str = "") -> int:
        """Closes it for good. Returns as `replay` does."""
        return self.discard_many([letter], who=who, reason=reason)[0]

    def discard_many(
        self, letters: Sequence[DeadLetter], *, who: str = "", reason: str = "", steps: Sequence[Step] = ()
    ) -> list[int]:
        """Closes them for good. Returns as `replay_many` does."""
        return self._act_on(letters, self._discard, (str(self._retention_seconds), who, reason), steps)

    def _act_on(
        self, letters: Sequence[DeadLetter], script: Script, words: Sequence[str], steps: Sequence[Step]
    ) -> list[int]:
        calls = [
            (letter.queue, letter.job_id, *words, *step)
            for letter, step in zip(letters, steps or [()] * len(letters), strict=True)
        ]
        return [
            int(taken)
            for start in range(0, len(calls), AT_ONCE)
            for taken in script.run_many(self._store, calls[start : start + AT_ONCE])
        ]

    def _is_ours(self, job_id: str) -> bool:
        return bool(self._store.exists(self._keys.event(JobId.parse(job_id).event_id)))

    def _queue_where_dead(self, job_id: str) -> str:
        """Returns the queue of a job whose hash was deleted by hand."""
        for queue in self._queues():
            if self._store.zscore(self._keys.rq_failed(queue), job_id) is not None:
                return queue
        return ""

    def _queues(self) -> list[str]:
        keys = texts(self._store.smembers(self._keys.rq_queues))
        return sorted(key.removeprefix(self._keys.rq_queue("")) for key in keys)

    def _scores(self, queue: str, group_id: str | None) -> list[tuple[str, float]]:
        """The ids in a failed registry, or those of a group alone, with their scores."""
        least, most = ("-inf", "+inf") if group_id is None else (score_of(group_id),) * 2
        found: Any = self._store.zrangebyscore(self._keys.rq_failed(queue), least, most, withscores=True)
        return [(text(job_id), score) for job_id, score in found]

    def _read(self, queue: str, found: list[tuple[str, float]]) -> Iterator[DeadLetter]:
        rows = self._look.run(self._store, *(job_id for job_id, _ in found)) if found else ()
        for (job_id, score), (event_type, tenant, user, ended_at, line) in zip(found, rows, strict=True):
            if event_type is None:  # another application's job: RQ keeps the failed jobs of all in the same place
                continue
            handler = handler_of(job_id)
            last = self._last_death(job_id, line)
            yield DeadLetter(
                job_id=job_id,
                queue=queue,
                event_type=text(event_type),
                handler=handler or str(last.get("handler", "")),
                tenant_id=text(tenant),
                user_id=text(user),
                died_at=datetime.fromisoformat(ended_at.decode()) if ended_at else None,
                error=str(last.get("error", "")),
                group_id=group_of(score),
            )

    def _last_death(self, job_id: str, last_line: bytes | None) -> dict[str, Any]:
        """The last attempt of a letter's handler; that of its event nearly always is."""
        id_ = JobId.parse(job_id)
        last: dict[str, Any] = json.loads(last_line) if last_line else {}
        if not last or id_.handler in ("", last["handler"]):
            return last
        lines: Any = self._store.lrange(self._keys.attempts(id_.event_id), 0, -1)
        attempts = map(json.loads, reversed(lines))
        return next((attempt for attempt in attempts if attempt["handler"] == id_.handler), {})
