"""Fetches jobs (claims them under a lease) and sends acknowledgements, many in one exchange with the store.

Handlers run on while an exchange is under way; the next one acknowledges the jobs that finish during it. Exchanges are
numbered: if a reply is lost, the exchange is repeated and changes nothing the second time.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from surehook.workers.claim import Claim
from surehook.workers.connection import Connection
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims, may_start_until
from surehook.workers.queue.completion import Completion, log_completion
from surehook.workers.queue.handoff import Handoff
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.quarantine import Quarantine
from surehook.workers.queue.threads import FOREVER, Broken, Finished, JobInProgress
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# A job that no thread has started by then goes back, for another process.
MAX_WAIT_SECONDS = 0.1
# A shorter job is never shown with its thread in RQ's tools.
SHOW_THREAD_SECONDS = 0.02
CHECK_EVERY_SECONDS = 1.0
PAUSED_SECONDS = 0.5
WAKE_UP = object()


class Fetcher(threading.Thread):
    """One per worker process; the only thread that knows all its jobs in progress."""

    def __init__(
        self,
        claims: Claims,
        connection: Connection,
        slots: Slots,
        prefetch: Prefetch,
        metrics: WorkerMetrics,
        request_wake_up: Callable[[], None],
        is_paused: Callable[[], bool],
    ) -> None:
        super().__init__(name="fetcher", daemon=True)
        self.inbox: SimpleQueue[object] = SimpleQueue()
        self.handoff: Handoff[JobInProgress | None] = Handoff()
        self.error: BaseException | None = None
        self.finished = 0
        self._claims = claims
        self._script = claims.exchange_script()
        self._connection = connection
        self._slots = slots
        self._prefetch = prefetch
        self._metrics = metrics
        self._request_wake_up = request_wake_up
        self._is_paused = is_paused
        self._is_stopping = threading.Event()
        self._jobs: dict[str, JobInProgress] = {}
        self._free_slots = list(range(slots.count))
        self._busy = 0  # jobs in progress that have not finished
        self._quarantine = Quarantine()
        self._acks: list[tuple[Ack, JobInProgress, Completion | None]] = []
        self._to_hand_over: list[JobInProgress] = []
        self._to_log: list[tuple[Completion, bool]] = []
        self._queue_may_have_jobs = True
        self._number, self._paused_until = 0, 0.0

    # Called by other threads.

    def stop(self) -> None:
        """Claims nothing more; the thread ends when its jobs are finished and acknowledged."""
        self._is_stopping.set()
        self.inbox.put(WAKE_UP)

    def wake_up(self) -> None:
        """Makes the fetcher look for jobs."""
        self.inbox.put(WAKE_UP)

    def jobs(self) -> list[JobInProgress]:
        return list(self._jobs.values())

    def run(self) -> None:
        try:
            while not (self._is_stopping.is_set() and not self._jobs):
                self.step()
            self._log_completions()
        except BaseException as exc:
            log.exception("fetcher failed")
            self.error = exc

    def step(self) -> None:
        """Collects finished jobs, and makes an exchange if there is anything to acknowledge or to claim."""
        self._collect()
        now = time.monotonic()
        if self._is_paused():
            self._paused_until = now + PAUSED_SECONDS
        self._give_back_waiting_jobs(now)
        self._give_back_quarantined_job(now)
        self._announce_running_jobs(now)
        if self._needs_exchange(now):
            self._exchange(now)

    # The parts of a step, in their order.

    def _collect(self) -> None:
        now = time.monotonic()
        timeout = 0.0
        if not self._needs_exchange(now):
            self._hand_over_and_log()
            timeout = self._seconds_until_due(now)
        try:
            while True:
                item = self.inbox.get(timeout=timeout) if timeout > 0 else self.inbox.get_nowait()
                timeout = 0.0
                self._process(item)
        except Empty:
            pass

    def _process(self, item: object) -> None:
        if isinstance(item, Broken):
            raise item.error
        if not isinstance(item, Finished):
            self._queue_may_have_jobs = True
            return
        self._acks.append((item.completion.ack, item.job, item.completion))
        self.finished += 1
        self._busy -= 1
        self._quarantine.remove(item.job)

    def _seconds_until_due(self, now: float) -> float:
        """How long this thread may sleep if no other wakes it."""
        until = now + CHECK_EVERY_SECONDS
        if self._paused_until > now:
            until = min(until, self._paused_until)
        if self.handoff:
            until = min(until, now + MAX_WAIT_SECONDS / 4)
        until = min(until, self._quarantine.waits_until)
        for job in self._jobs.values():
            if not job.is_thread_shown and not job.has_finished and job.started_at != FOREVER:
                until = min(until, job.started_at + SHOW_THREAD_SECONDS)
        return max(until - now, 0.001)

    def _give_back_waiting_jobs(self, now: float) -> None:
        """If one has waited too long, those behind it go back as well, to keep the queue's order."""
        is_stopping, oldest = self._is_stopping.is_set(), self.handoff.first()
        if not is_stopping and (oldest is None or oldest.received_at > now - MAX_WAIT_SECONDS):
            return
        given_back = [job for job in self.handoff.drain() if job is not None]
        if is_stopping and (quarantined := self._quarantine.expel_if_due(FOREVER)):
            given_back.append(quarantined)
        for job in reversed(given_back):  # each goes to the front of its queue
            self._give_back(job)

    def _give_back(self, job: JobInProgress) -> None:
        self._acks.append((acks.give_back(job.claim), job, None))
        self._busy -= 1
        self._quarantine.remove(job)

    def _give_back_quarantined_job(self, now: float) -> None:
        if self._busy > 1 and (job := self._quarantine.expel_if_due(now)):
            self._give_back(job)
            self._paused_until = max(self._paused_until, now + MAX_WAIT_SECONDS)  # so that an idle process takes it

    def _announce_running_jobs(self, now: float) -> None:
        for job in self._jobs.values():
            if not job.is_thread_shown and not job.has_finished and job.started_at + SHOW_THREAD_SECONDS <= now:
                job.is_thread_shown = job.is_shown_running = True
                self._acks.append((acks.start(job.claim), job, None))

    def _needs_exchange(self, now: float) -> bool:
        return bool(self._acks) or (self._queue_may_have_jobs and self._wanted(now) > 0)

    def _wanted(self, now: float) -> int:
        if self._is_stopping.is_set() or self._quarantine.job is not None or now < self._paused_until:
            return 0
        since, jobs = now - self._prefetch.exchange_seconds, self._jobs.values()
        long_running = sum(job.started_at < since and not job.has_finished for job in jobs)
        return min(self._prefetch.wanted(self._busy, long_running), len(self._free_slots))

    def _exchange(self, now: float) -> None:
        wanted = self._wanted(now)
        starting = max(0, min(wanted, self._prefetch.threads - self._busy))
        sent, self._acks = self._acks, []
        self._number += 1
        with_workers = [(ack, job.thread, job.is_shown_running) for ack, job, _ in sent]
        arguments = self._claims.exchange_arguments(self._number, with_workers, wanted=wanted, starting=starting)
        self._slots.mark_exchange_pending(is_pending=wanted > 0)
        # Handlers have run, and only the store can decide whether their results count: repeat until it answers.
        call = self._connection.call_until_answered
        reply, sent_at = call(self._script, arguments, self._is_stopping, self._hand_over_and_log)
        self._prefetch.record(time.monotonic() - sent_at, sum(completion is not None for _, _, completion in sent))
        result = self._claims.parse_reply(reply)
        self._slots.mark_exchange_pending(is_pending=False)
        for (ack, job, completion), is_done in zip(sent, result.accepted_acks, strict=True):
            self._acknowledged(ack, job, completion, is_done=is_done)
        for claim in result.claims:
            self._admit(claim, sent_at, starting)
        if result.is_paused:
            self._paused_until = time.monotonic() + PAUSED_SECONDS
        elif len(result.claims) < wanted and self._quarantine.job is None:
            self._queue_may_have_jobs = False
            self._request_wake_up()

    def _acknowledged(self, ack: Ack, job: JobInProgress, completion: Completion | None, *, is_done: bool) -> None:
        if ack.kind == acks.START:
            if not is_done:
                job.mark_lost()
            return
        self._slots.free(job.slot)
        self._free_slots.append(job.slot)
        del self._jobs[job.claim.key]
        if completion is not None:
            self._to_log.append((completion, is_done))

    def _admit(self, claim: Claim, sent_at: float, starting: int) -> None:
        slot = self._free_slots.pop()
        self._slots.reserve(slot, claim.key)
        job = JobInProgress(claim, slot, time.monotonic(), may_start_until(sent_at))
        job.is_shown_running = claim.position <= starting
        self._jobs[claim.key] = job
        self._busy += 1
        if claim.interruptions > 0:
            self._quarantine.admit(job)
        else:
            self._to_hand_over.append(job)

    def _hand_over(self, job: JobInProgress) -> None:
        job.received_at = time.monotonic()
        job.is_handed_over = True
        self.handoff.put(job)

    def _hand_over_and_log(self) -> None:
        """Done while the next exchange is under way: threads woken sooner would delay it."""
        handing_over, self._to_hand_over = self._to_hand_over, []
        for job in handing_over:
            self._hand_over(job)
        if quarantined := self._quarantine.release_if_alone(self._busy):
            self._hand_over(quarantined)
        self._log_completions()

    def _log_completions(self) -> None:
        to_log, self._to_log = self._to_log, []
        for completion, is_acknowledged in to_log:
            log_completion(completion, self._metrics, is_acknowledged=is_acknowledged)
