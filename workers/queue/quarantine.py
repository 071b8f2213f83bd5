"""The claim whose job took a process down before: it runs when nothing else does in its process.

A process that is busy gives it back after a moment, unharmed, for another may be idle. Each time the same job comes
again it is kept for twice as long: in the end for longer than any handler runs, or it would starve where all are busy.
"""

from surehook.workers.queue.threads import FOREVER, JobInProgress

FIRST_WAIT_SECONDS = 0.1
MOST_REMEMBERED = 100


class Quarantine:
    """At most one in a process, which takes nothing else until that has ended or has gone back."""

    def __init__(self) -> None:
        self.held: JobInProgress | None = None
        self._patience: dict[str, float] = {}  # of the jobs that went back: seconds, the next time

    @property
    def waits_until(self) -> float:
        if self.held is None or self.held.is_handed_over:
            return FOREVER
        return self.held.came_at + self._patience.get(self.held.claim.job_id, FIRST_WAIT_SECONDS)

    def came(self, held: JobInProgress) -> None:
        self.held = held

    def begins(self, busy: int) -> JobInProgress | None:
        """The one that waits, once it is the only one of so many claims."""
        if self.held is None or self.held.is_handed_over or busy > 1:
            return None
        self._patience.pop(self.held.claim.job_id, None)
        return self.held

    def goes_back(self, now: float) -> JobInProgress | None:
        """The one that waits, if it has waited long enough."""
        held = self.held
        if held is None or held.is_handed_over or now < self.waits_until:
            return None
        if len(self._patience) >= MOST_REMEMBERED:
            self._patience.clear()
        job_id = held.claim.job_id
        self._patience[job_id] = 2 * self._patience.get(job_id, FIRST_WAIT_SECONDS)
        return held

    def left(self, held: JobInProgress) -> None:
        """Any claim that ended, or went back before its beginning."""
        if held is self.held:
            self.held = None
