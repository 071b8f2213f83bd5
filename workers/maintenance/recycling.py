"""When a worker process makes room for a fresh one: after so many jobs, past so much memory, with a stuck handler."""

import logging
import resource
from collections.abc import Callable
from pathlib import Path

from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

MEBIBYTE = 1024 * 1024


class Recycling:
    """`stop` is called once, when it is time: take no more, finish what runs, end."""

    def __init__(
        self, slots: Slots, queue: str, *, jobs: int, mib: int, ended: Callable[[], int], stop: Callable[[], None]
    ) -> None:
        self._slots = slots
        self._queue = queue
        self._jobs = jobs
        self._mib = mib
        self._ended = ended
        self._stop = stop
        self._is_leaving = False

    def tick(self, now: float) -> None:
        """Show the parent that this process moves, and see whether its time has come."""
        self._slots.beat(now)
        if (self._jobs and self._ended() >= self._jobs) or (self._mib and _resident_bytes() > self._mib * MEBIBYTE):
            self.leave()

    def leave(self) -> None:
        """The parent starts the other process at once."""
        if self._is_leaving:
            return
        self._is_leaving = True
        log.info("worker process makes room for a fresh one", extra={"queue": self._queue, "count": self._ended()})
        self._slots.mark_leaving()
        self._stop()


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        try:
            return int(statm.read_text().split()[1]) * resource.getpagesize()
        except OSError:  # no file descriptor is left; a tenth of a second later there may be
            return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # its peak, in bytes on macOS: better than no bound
