"""The jobs of an open event: where each is, and what it waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.job_id import handler_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import text


@dataclass(frozen=True, slots=True)
class Wait:
    """A job that does not run now."""

    job_id: str
    handler: str
    """"" while the handlers of the event are not chosen yet."""
    queue: str
    state: str
    """`scheduled`, `deferred`, `dead`, or `queued`: waiting or running."""
    due_at: datetime | None
    is_paused: bool


def job_ids_of(event_id: str, handlers: Sequence[str]) -> list[str]:
    """The ids that an event's jobs may have."""
    return [event_id, *(f"{event_id}_{handler}" for handler in handlers)]


def read_waits(store: redis.Redis, keys: Keys, event_id: str, handlers: Sequence[str]) -> list[Wait]:
    waits = []
    for job_id in job_ids_of(event_id, handlers):
        origin: Any = store.hget(keys.rq_job(job_id), "origin")
        if origin is not None:
            waits.append(_wait(store, keys, job_id, text(origin)))
    return waits


def _wait(store: redis.Redis, keys: Keys, job_id: str, queue: str) -> Wait:
    pipeline = store.pipeline(transaction=False)
    pipeline.zscore(keys.rq_scheduled(queue), job_id)
    pipeline.zscore(keys.rq_deferred(queue), job_id)
    pipeline.zscore(keys.rq_failed(queue), job_id)
    pipeline.sismember(keys.paused, queue)
    scheduled, deferred, dead, is_paused = pipeline.execute()
    state = "queued"
    for name, score in (("scheduled", scheduled), ("deferred", deferred), ("dead", dead)):
        if score is not None:
            state = name
    due_at = datetime.fromtimestamp(scheduled, UTC) if scheduled is not None else None
    return Wait(job_id, handler_of(job_id), queue, state, due_at, bool(is_paused))
