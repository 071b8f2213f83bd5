"""Replaces a worker process: after RECYCLE_JOBS jobs, above RECYCLE_MIB, or with a stuck handler."""

import logging
import resource
from collections.abc import Callable
from pathlib import Path

from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

MEBIBYTE = 1024 * 1024


class Recycling:
    """Checks the limits of one process. `stop` is called once: the process finishes running handlers and exits."""

    def __init__(
        self,
        slots: Slots,
        queue: str,
        *,
        jobs: int,
        mib: int,
        finished: Callable[[], int],
        stop: Callable[[], None],
    ) -> None:
        self._slots = slots
        self._queue = queue
        self._jobs = jobs
        self._mib = mib
        self._finished = finished
        self._stop = stop
        self.has_left_work: Callable[[float], bool] = lambda _: False
        self._is_leaving = False

    def tick(self, now: float) -> None:
        """Show the supervisor that this process is not stalled, and check the limits."""
        self._slots.beat(now)
        if self._jobs and self._finished() >= self._jobs:
            self.leave("RECYCLE_JOBS")
        elif self._mib and _resident_bytes() > self._mib * MEBIBYTE:
            self.leave("RECYCLE_MIB")
        if self.has_left_work(now):
            self.leave("work_left_behind")

    def leave(self, reason: str = "stuck_handler") -> None:
        """Leave; the supervisor starts the new process immediately. The reason is for the log."""
        if self._is_leaving:
            return
        self._is_leaving = True
        facts = {"queue": self._queue, "count": self._finished(), "reason": reason}
        log.info("worker process recycled", extra=facts)
        self._slots.mark_leaving()
        self._stop()


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        try:
            return int(statm.read_text().split()[1]) * resource.getpagesize()
        except OSError:  # no file descriptor is free; there may be one at the next tick
            return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the peak, and in bytes on macOS: better than no limit
