"""The quarantine of a job that took a process down before: it runs only when nothing else does in its process.

A busy process gives the job back after a moment, uncounted, because another process may be idle. Each time the same job
comes again, the process keeps it twice as long: eventually longer than any handler runs, or it would starve where all
processes are busy.
"""

from surehook.workers.queue.threads import FOREVER, JobInProgress

FIRST_WAIT_SECONDS = 0.1
MOST_REMEMBERED = 100


class Quarantine:
    """Holds at most one job. Its process claims nothing else until that job has finished or gone back."""

    def __init__(self) -> None:
        self.job: JobInProgress | None = None
        self._wait_seconds: dict[str, float] = {}  # the next wait of each job that was given back

    @property
    def waits_until(self) -> float:
        if self.job is None or self.job.is_handed_over:
            return FOREVER
        return self.job.received_at + self._wait_seconds.get(self.job.claim.job_id, FIRST_WAIT_SECONDS)

    def admit(self, job: JobInProgress) -> None:
        self.job = job

    def release_if_alone(self, busy: int) -> JobInProgress | None:
        """Returns the waiting job once it is the only busy one in the process."""
        if self.job is None or self.job.is_handed_over or busy > 1:
            return None
        self._wait_seconds.pop(self.job.claim.job_id, None)
        return self.job

    def expel_if_due(self, now: float) -> JobInProgress | None:
        """Returns the waiting job if it has waited long enough and is to be given back."""
        job = self.job
        if job is None or job.is_handed_over or now < self.waits_until:
            return None
        if len(self._wait_seconds) >= MOST_REMEMBERED:
            self._wait_seconds.clear()
        job_id = job.claim.job_id
        self._wait_seconds[job_id] = 2 * self._wait_seconds.get(job_id, FIRST_WAIT_SECONDS)
        return job

    def remove(self, job: JobInProgress) -> None:
        """Called for every job that has finished or is given back."""
        if job is self.job:
            self.job = None
