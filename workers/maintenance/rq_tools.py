"""Puts right what RQ's own tools did to our jobs: cancelled ones, and those that a stock `rq worker` has failed."""

import logging
import time
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.failures import failure_of
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, texts
from surehook.shared.tracebacks import packed
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.maintenance.registry_pages import registry_pages

log = logging.getLogger(__name__)

CANCELLED = "cancelled with RQ's tools: replay it to run it, or discard it"
MISDIRECTED = "a stock `rq worker` took this job, and no handler ran: run only `surehook worker` on Surehook's queues"
UNKNOWN = "(how it failed is not known)"
MOST_GIVEN_BACK = 5
PAGE = 200
# A short failed registry is read in every sweep; a long one costs the store more.
FEW_FAILED = 500
READ_MANY_EVERY_SECONDS = 30.0


class RQTools:
    """Looks at the registries of one store. One process at a time does, the one that sweeps."""

    def __init__(self, store: redis.Redis, keys: Keys, *, handler_timeout: float) -> None:
        self._store = store
        self._keys = keys
        self._handler_timeout = f"{handler_timeout:g}"
        self._canceled, self._failed = Script("sweep_canceled", keys), Script("sweep_failed", keys)
        self._read_again: dict[str, float] = {}
        """When a long failed registry is read again, on time.monotonic()."""

    def put_right(self) -> None:
        for queue in sorted(texts(self._store.smembers(self._keys.queues))):
            self._bury_cancelled(queue)
            count: Any = self._store.zcard(self._keys.rq_failed(queue))
            now = time.monotonic()
            if 0 < count <= FEW_FAILED or (count and now >= self._read_again.get(queue, now)):
                self._give_back_failed(queue)
                self._read_again[queue] = now + READ_MANY_EVERY_SECONDS

    def _bury_cancelled(self, queue: str) -> None:
        attempt = _attempt("cancelled", CANCELLED)
        words = (attempt, packed(f"{CANCELLED}\n"), failure_of(CANCELLED, "").packed())
        buried = 0
        for job_ids in registry_pages(self._store, self._keys.rq_canceled(queue), PAGE):
            buried += self._canceled.run(self._store, queue, self._handler_timeout, *words, *job_ids)
        if buried:
            log.warning("jobs cancelled with RQ's tools are dead letters", extra={"queue": queue, "count": buried})

    def _give_back_failed(self, queue: str) -> None:
        words = (
            queue,
            self._handler_timeout,
            MOST_GIVEN_BACK,
            _attempt("not run", MISDIRECTED),
            _attempt("not run", f"{MISDIRECTED}. This happened {MOST_GIVEN_BACK + 1} times"),
            packed(f"{MISDIRECTED}.\n"),
            failure_of(MISDIRECTED, "").packed(),
            failure_of(UNKNOWN, "").packed(),
        )
        totals = [0, 0]
        for job_ids in registry_pages(self._store, self._keys.rq_failed(queue), PAGE):
            found = self._failed.run(self._store, *words, *job_ids)
            totals = [total + number for total, number in zip(totals, found, strict=True)]
        given_back, left = totals
        if given_back:
            log.error("jobs of a stock rq worker queued again", extra={"queue": queue, "count": given_back})
        if left:
            log.error("jobs of a stock rq worker are dead letters", extra={"queue": queue, "count": left})


def _attempt(outcome: str, error: str) -> str:
    return AttemptRecord("@", 1, datetime.now(UTC), 0, outcome, error).as_json()
