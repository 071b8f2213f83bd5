"""Gives back the job of a claim whose process died, and records the interrupted run."""

import logging
from datetime import UTC, datetime

import redis

from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims, ClaimState

log = logging.getLogger(__name__)

INTERRUPTED = frozenset({"requeued", "buried"})
"""The outcomes of a run that had started."""


def interrupt(
    claims: Claims,
    registry: Registry,
    store: redis.Redis,
    keys: Keys,
    key: str,
    *,
    state: ClaimState = ClaimState.EXPIRED,
    counts: bool = True,
) -> str:
    """Give back a claim; if its run had started, add a line to the event's history.

    Returns requeued, buried, returned (the run had not started) or stale, as `Claims.interrupt` does.
    """
    job_id = key.rpartition(":")[0]
    event_id, handler = JobId.parse(job_id)
    event_type, tenant_id, application_ids, runs, owner = texts(
        store.hmget(keys.event(event_id), "type", "tenant", "application", f"runs:{handler}", "handler")
    )
    handler = handler or owner
    if not handler:
        matching = registry.for_event(event_type, tenant_id, application_ids)
        handler = matching[0].name if len(matching) == 1 else ""
    attempt = AttemptRecord(handler, int(runs or 0), datetime.now(UTC), 0, "interrupted", "the process died")
    outcome = claims.interrupt(key, attempt, state=state, counts=counts)
    if outcome in INTERRUPTED:
        level = logging.ERROR if outcome == "buried" else logging.WARNING
        log.log(level, "run interrupted", extra={"job_id": job_id, "handler": handler, "outcome": outcome})
    return outcome
