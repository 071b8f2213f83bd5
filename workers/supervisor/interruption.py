"""Gives back the job of a claim whose process died, and records the interrupted run."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import redis

from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.queue.claims import Claims, ClaimState
from surehook.workers.queue.threads import PARENT_RENEWS_EVERY_SECONDS

log = logging.getLogger(__name__)

INTERRUPTED = frozenset({"requeued", "buried"})
"""The outcomes of a run that had started."""


def handler_of(registry: Registry, store: redis.Redis, keys: Keys, key: str) -> Handler | None:
    """The handler of a claim. None: it is not registered here, or several match the event."""
    event_id, handler = JobId.parse(key.rpartition(":")[0])
    *facts, owner = texts(store.hmget(keys.event(event_id), "type", "tenant", "application", "handler"))
    if name := handler or owner:
        return registry.named(name)
    matching = registry.for_event(*facts)
    return matching[0] if len(matching) == 1 else None


def claims_held_by(process: str, every: Sequence[Claims]) -> Iterator[tuple[Claims, str]]:
    """Yields the claims of a dead process, the youngest first, and renews the leases of all.

    A slow store takes longer than a lease for all of them, and only this machine knows which runs had started.
    """
    renew_at = 0.0
    for key in every[0].claims_of(process):
        if (now := time.monotonic()) >= renew_at:
            renew_at = now + PARENT_RENEWS_EVERY_SECONDS
            for claims in every:
                claims.renew([])
        yield from ((claims, key) for claims in every if len(every) == 1 or claims.holds(key))


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
    event_id, part = JobId.parse(job_id)
    code, handler, runs = "", part, ""
    if state is not ClaimState.RESERVED:  # else no run is recorded, so the store is spared two questions
        known = handler_of(registry, store, keys, key)
        runs, owner = texts(store.hmget(keys.event(event_id), f"runs:{part}", "handler"))
        handler, code = (known.name, known.code) if known else (part or owner, "")
    attempt = AttemptRecord(handler, int(runs or 0), datetime.now(UTC), 0, "interrupted", "the process died")
    outcome = claims.interrupt(key, attempt, state=state, counts=counts, code=code)
    if outcome in INTERRUPTED:
        level = logging.ERROR if outcome == "buried" else logging.WARNING
        log.log(level, "run interrupted", extra={"job_id": job_id, "handler": handler, "outcome": outcome})
    return outcome
