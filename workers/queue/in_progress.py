"""The jobs that a worker process holds, each in a slot where the supervisor sees it."""

import time

from surehook.workers.claim import Claim
from surehook.workers.queue import acks
from surehook.workers.queue.claims import may_start_until
from surehook.workers.queue.threads import FOREVER, JobInProgress
from surehook.workers.slots import Slots


class JobsInProgress:
    """Changed by the fetcher alone. Other threads may read the list."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._free_slots = list(range(slots.count))
        self._by_claim: dict[str, JobInProgress] = {}

    def __len__(self) -> int:
        return len(self._by_claim)

    @property
    def room(self) -> int:
        """How many more claims it can take."""
        return len(self._free_slots)

    def all(self) -> list[JobInProgress]:
        return list(self._by_claim.values())

    def add(self, claim: Claim, sent_at: float, starting: int) -> JobInProgress:
        """Adds a claim of an exchange that was sent then, and in which the first `starting` ones count as running."""
        slot = self._free_slots.pop()
        self._slots.reserve(slot, claim.key)
        job = JobInProgress(claim, slot, time.monotonic(), may_start_until(sent_at))
        job.shown = acks.RUN_SHOWN if claim.position <= starting else acks.NOT_SHOWN
        self._by_claim[claim.key] = job
        return job

    def remove(self, job: JobInProgress) -> None:
        self._slots.free(job.slot)
        self._free_slots.append(job.slot)
        del self._by_claim[job.claim.key]

    def running_since(self, instant: float) -> int:
        """How many handlers started before then and have not finished."""
        return sum(job.started_at < instant and not job.has_finished for job in self._by_claim.values())

    def slow(self) -> int:
        """How many handlers run, and have for so long that RQ's tools show their workers."""
        return sum(job.shown == acks.WORKER_SHOWN and not job.has_finished for job in self._by_claim.values())

    def next_announcement(self) -> float:
        """When RQ's tools are to be shown the next thread."""
        return min((job.announce_at for job in self._by_claim.values()), default=FOREVER)

    def to_announce(self, now: float) -> list[JobInProgress]:
        """The jobs whose threads RQ's tools are to be shown now."""
        return [job for job in self._by_claim.values() if job.announce_at <= now]
