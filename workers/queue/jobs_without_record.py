"""Reports jobs on our queue that have no event record under our prefix: the store puts them aside for some seconds."""

import logging
import time
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 10.0
REASON = "another application uses this queue: set another SUREHOOK_KEY_PREFIX, or rename that queue"


class JobsWithoutRecord:
    """Logs what one process has found on its queue, at most one line in ten seconds."""

    def __init__(self, queue: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._next_at = 0.0
        self._count = 0

    def report(self, count: int, job_ids: Sequence[str] = ()) -> None:
        """Counts jobs that were put aside; the line names one of them."""
        self._count += count
        now = self._clock()
        if not count or now < self._next_at:
            return
        self._next_at = now + LOG_EVERY_SECONDS
        example = {"job_id": job_ids[0]} if job_ids else {}
        facts = {"queue": self._queue, "count": self._count, "reason": REASON, **example}
        log.error("jobs without an event record put aside", extra=facts)
        self._count = 0
