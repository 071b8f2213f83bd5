"""RQ workers, and the threads that take jobs from the fetcher and execute them."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from surehook.workers.claim import Claim
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.queue import acks
from surehook.workers.queue.claims import LEASE_MARGIN_SECONDS, LEASE_SECONDS
from surehook.workers.queue.completion import Completion
from surehook.workers.queue.executor import JobExecutor
from surehook.workers.queue.handoff import Handoff, locked_lock
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# The process of a handler that runs longer than its timeout by this much is killed.
OVERRUN_SECONDS = 5.0
PARENT_RENEWS_EVERY_SECONDS = 3.0
# A shorter job is never shown with its worker in RQ's tools.
SHOW_WORKER_SECONDS = 0.02
FOREVER = float("inf")

JobHandoff: TypeAlias = "Handoff[JobInProgress | None, JobWorker]"


@dataclass(slots=True, eq=False)
class JobInProgress:
    """A claim in this process. The fetcher writes to it first, then handler threads, then the fetcher again."""

    claim: Claim
    slot: int
    received_at: float
    start_by: float
    """Not started later than that: the lease may have expired."""
    worker: str = ""
    """The name of the RQ worker that executes it."""
    started_at: float = FOREVER
    is_handed_over: bool = False
    shown: int = acks.NOT_SHOWN
    """How much RQ's tools show of it."""
    has_finished: bool = False
    is_lost: bool = False
    has_seen_lease_lost: bool = False
    """`is_ours()` has returned False to its handler."""

    @property
    def announce_at(self) -> float:
        """When RQ's tools are to show its worker; never, if they do or it has finished."""
        is_over = self.has_finished or self.shown == acks.WORKER_SHOWN
        return FOREVER if is_over else self.started_at + SHOW_WORKER_SECONDS

    def mark_lost(self) -> None:
        """Records that the lease is lost: `is_ours()` now returns False, and the result will not count."""
        if not self.is_lost and not self.has_finished:
            log.warning("lease lost", extra={"event_id": self.claim.event_id, "queue": self.claim.queue})
        self.is_lost = True


class Finished(NamedTuple):
    """A job that a thread has finished."""

    job: JobInProgress
    completion: Completion


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread failed through an error of ours, so the process can no longer be trusted."""

    error: BaseException


class JobWorker:
    """One RQ worker, which executes one job at a time. It is the `RunContext` of its jobs.

    The handler threads work for it in turn; none does while an `async` handler runs.
    """

    def __init__(
        self, name: str, handoff: JobHandoff, inbox: "SimpleQueue[object]", executor: JobExecutor, slots: Slots
    ) -> None:
        self.name = name
        self.timeout = Timeout()
        self._handoff = handoff
        self._inbox = inbox
        self._executor = executor
        self._slots = slots
        self._job: JobInProgress | None = None
        self._finish: Callable[[], Completion] | None = None

    def work(self, job: JobInProgress) -> None:
        """Executes a job, or finishes it when its `async` handler has ended."""
        if self._finish is None:
            completion = self._execute(job)
            if completion is None:
                return  # another thread may work for this worker already
        else:
            self._slots.move(job.slot)  # an error's text is the user's code, too
            completion = self._finish()
        if job.has_seen_lease_lost:
            # A handler that was told to stop may have stopped half-way: it runs again, unless another worker
            # has the job.
            completion = completion._replace(ack=acks.give_back(job.claim), is_discarded=True)
        if job.started_at < FOREVER:  # else a crash must not count against it
            self._slots.ran(job.slot)
        job.has_finished = True
        self._inbox.put(Finished(job, completion))
        self._job = self._finish = None  # a worker without a job must not keep its last event in memory
        self._handoff.release(self)

    def resume(self, finish: Callable[[], Completion]) -> None:
        """Has a thread finish the job, whose `async` handler has ended."""
        assert self._job is not None  # noqa: S101 - the job has not finished
        self._finish = finish
        self._handoff.resume(self, self._job)

    def start_run(self, deadline: float, thread: int = 0) -> None:
        """Records that the handler starts now: for the supervisor first, then for the fetcher."""
        job = self._job
        assert job is not None  # noqa: S101 - called from within a run
        self._slots.start(job.slot, deadline + OVERRUN_SECONDS, thread)
        job.started_at = time.monotonic()

    def finish_runs(self) -> None:
        """Ends the slot's deadline, like the end of the job."""
        job = self._job
        if job is not None:
            self._slots.ran(job.slot)

    @property
    def is_ours(self) -> Callable[[], bool]:
        """Belongs to the present job: what a run has left behind may ask later, when the worker has another one."""
        return partial(self._holds, self._job)

    def _holds(self, job: JobInProgress | None) -> bool:
        """False once another worker has the job, or may have it, as no renewal succeeded for a whole lease."""
        if job is None or job is not self._job:
            return False
        if job.is_lost or self._may_have_expired(job, time.monotonic()):
            job.has_seen_lease_lost = True
        return not job.has_seen_lease_lost

    def _may_have_expired(self, job: JobInProgress, now: float) -> bool:
        # The supervisor renews the leases of a stalled process, and the process cannot see that.
        renewed_by_parent = self._slots.last_stall(now) - PARENT_RENEWS_EVERY_SECONDS
        return now >= max(job.start_by + LEASE_MARGIN_SECONDS, renewed_by_parent + LEASE_SECONDS)

    def _execute(self, job: JobInProgress) -> Completion | None:
        if time.monotonic() >= job.start_by or job.is_lost:
            return Completion(acks.give_back(job.claim))
        self._job = job
        job.worker = self.name
        return self._executor.execute(job.claim, self)


class HandlerThread(threading.Thread):
    """Works for the RQ workers of its process, of which there are as many as threads."""

    def __init__(self, name: str, handoff: JobHandoff, inbox: "SimpleQueue[object]") -> None:
        super().__init__(name=name, daemon=True)
        self._handoff = handoff
        self._inbox = inbox

    def run(self) -> None:
        wake_up = locked_lock()
        while True:
            worker, job = self._handoff.get(wake_up)
            if job is None:  # only in tests: all threads end
                self._handoff.resume(worker, None)
                return
            try:
                worker.work(job)
            except BaseException as exc:
                log.exception("handler thread failed", extra={"queue": job.claim.queue})
                self._inbox.put(Broken(exc))
                return
            job = None  # an idle thread must not keep its last event in memory
