"""Fetches jobs (claims them under a lease) and sends acknowledgements, many in one exchange with the store.

Handlers run on while an exchange is under way; the next one acknowledges the jobs that finish during it. Exchanges are
numbered: if a reply is lost, the exchange is repeated and changes nothing the second time.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue

from surehook.workers.claim import Claim
from surehook.workers.connection import Connection
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import REFUSED, Claims
from surehook.workers.queue.completion import Completion, Settled
from surehook.workers.queue.handoff import Handoff
from surehook.workers.queue.in_progress import JobsInProgress
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.quarantine import Quarantine
from surehook.workers.queue.sources import Source, Sources, WakeUp
from surehook.workers.queue.threads import FOREVER, Broken, Finished, JobHandoff, JobInProgress
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# A job that no thread has taken by then goes back, for another process.
MAX_WAIT_SECONDS = 0.1
CHECK_EVERY_SECONDS = 1.0
REST_SECONDS = 0.001
PAUSED_SECONDS = 0.5


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
        limited: Iterable[Claims] = (),
    ) -> None:
        super().__init__(name="fetcher", daemon=True)
        self.inbox: SimpleQueue[object] = SimpleQueue()
        self.handoff: JobHandoff = Handoff()
        self.error: BaseException | None = None
        self.finished = 0
        self._sources = Sources(claims, limited)
        self._connection = connection
        self._slots, self._prefetch = slots, prefetch
        self._request_wake_up, self._is_paused = request_wake_up, is_paused
        self._is_stopping = threading.Event()
        self._jobs, self._quarantine = JobsInProgress(slots), Quarantine()
        self._busy = 0  # jobs in progress that have not finished
        self._to_hand_over: list[JobInProgress] = []
        self._settled = Settled(metrics)
        self._number, self._paused_until = 0, 0.0

    # Called by other threads.

    def stop(self) -> None:
        """Claims nothing more; the thread ends when its jobs are finished and acknowledged."""
        self._is_stopping.set()
        self.inbox.put(WakeUp())

    def wake_up(self, *limited: str) -> None:
        """Makes the fetcher look for jobs, in its process's queue or in these with limits."""
        self.inbox.put(WakeUp(limited))

    def jobs(self) -> list[JobInProgress]:
        return self._jobs.all()

    def run(self) -> None:
        try:
            while not (self._is_stopping.is_set() and not self._jobs):
                self.step()
            self._settled.log()
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
        for source in self._sources.in_turn():
            if self._is_due(source, now):
                self._exchange(source, now)

    # The parts of a step, in their order.

    def _collect(self) -> None:
        self._take_items()  # first: with something to acknowledge, the log waits until the store works
        now, timeout = time.monotonic(), 0.0
        if self._may_rest(now):
            self._hand_over_and_log()
            time.sleep(REST_SECONDS)  # a job that finishes does not wake this thread
        elif not any(self._is_due(each, now) for each in self._sources.all):
            self._hand_over_and_log()
            timeout = self._seconds_until_due(now)
        self._take_items(timeout)

    def _take_items(self, timeout: float = 0.0) -> None:
        with suppress(Empty):
            while True:
                self._process(self.inbox.get(timeout=timeout))
                timeout = 0.0

    def _may_rest(self, now: float) -> bool:
        if self._sources.limited or self._is_stopping.is_set():
            return False
        return self._prefetch.may_rest(len(self.handoff) + len(self._to_hand_over), now)

    def _process(self, item: object) -> None:
        if isinstance(item, Broken):
            raise item.error
        if isinstance(item, WakeUp):
            self._sources.wake_up(item.queues)
            return
        assert isinstance(item, Finished)  # noqa: S101 - all that is left
        self._sources.finished(item)
        self.finished += 1
        self._busy -= 1
        self._quarantine.remove(item.job)

    def _seconds_until_due(self, now: float) -> float:
        until = self._sources.next_ready(now, now + CHECK_EVERY_SECONDS)
        if self._paused_until > now:
            until = min(until, self._paused_until)
        if self.handoff:
            until = min(until, now + MAX_WAIT_SECONDS / 4)
        return max(min(until, self._quarantine.waits_until, self._jobs.next_announcement()) - now, 0.001)

    def _give_back_waiting_jobs(self, now: float) -> None:
        """If one has waited too long, those behind it go back as well, to keep the queue's order.

        While all threads run slow handlers, none waits: another process may be idle.
        """
        is_stopping, oldest = self._is_stopping.is_set(), self.handoff.first()
        has_waited = oldest is not None and oldest.received_at <= now - MAX_WAIT_SECONDS
        if not is_stopping and not has_waited and (oldest is None or self._jobs.slow() < self._prefetch.threads):
            return
        self._prefetch.forget_rate()
        given_back = [job for job in self.handoff.drain() if job is not None]
        if is_stopping and (quarantined := self._quarantine.expel_if_due(FOREVER)):
            given_back.append(quarantined)
        for job in reversed(given_back):  # each goes to the front of its queue
            self._give_back(job)

    def _give_back(self, job: JobInProgress) -> None:
        self._sources.add(acks.give_back(job.claim), job)
        self._busy -= 1
        self._quarantine.remove(job)

    def _give_back_quarantined_job(self, now: float) -> None:
        if self._busy > 1 and (job := self._quarantine.expel_if_due(now)):
            self._give_back(job)
            self._paused_until = max(self._paused_until, now + MAX_WAIT_SECONDS)  # so that an idle process takes it

    def _announce_running_jobs(self, now: float) -> None:
        for job in self._jobs.to_announce(now):
            job.shown = acks.WORKER_SHOWN
            self._sources.add(acks.start(job.claim), job)

    def _is_due(self, source: Source, now: float) -> bool:
        return bool(source.acks) or (source.is_ready(now) and self._wanted(source, now) > 0)

    def _wanted(self, source: Source, now: float) -> int:
        pause = max(self._paused_until, source.waits_until)
        if self._is_stopping.is_set() or self._quarantine.job is not None or now < pause:
            return 0
        if (others := self._sources.others(source, now)) is not None:
            idle = max(0, self._prefetch.threads - self._busy)
            return min(-(-idle // (others + 1)), self._jobs.room)
        long_running = self._jobs.running_since(now - self._prefetch.exchange_seconds)
        return min(self._prefetch.wanted(self._busy, long_running, now), self._jobs.room)

    def _exchange(self, source: Source, now: float) -> None:
        wanted = self._wanted(source, now)
        starting = max(0, min(wanted, self._prefetch.threads - self._busy))
        sent, source.acks = source.acks, []
        self._number += 1
        with_workers = [(ack, job.worker, job.shown) for ack, job, _ in sent]
        arguments = source.claims.exchange_arguments(self._number, with_workers, wanted=wanted, starting=starting)
        self._slots.mark_exchange_pending(is_pending=wanted > 0)
        # Handlers have run, and only the store can decide whether their results count: repeat until it answers.
        call = self._connection.call_until_answered
        reply, sent_at = call(source.script, arguments, self._is_stopping, self._hand_over_and_log)
        if not source.is_limited:
            finished, ended_at = sum(completion is not None for _, _, completion in sent), time.monotonic()
            self._prefetch.record(ended_at - sent_at, finished, ended_at)
        result = source.claims.parse_reply(reply)
        self._slots.mark_exchange_pending(is_pending=False)
        for (ack, job, completion), letter in zip(sent, result.letters, strict=True):
            self._acknowledged(ack, job, completion, letter)
        for claim in result.claims:
            self._admit(claim, sent_at, starting)
        if result.is_paused:
            source.waits_until = time.monotonic() + PAUSED_SECONDS
        elif source.is_limited:
            source.note_limits(result, wanted, time.monotonic())
        elif len(result.claims) < wanted and self._quarantine.job is None:
            source.may_have_jobs = False
            self._request_wake_up()

    def _acknowledged(self, ack: Ack, job: JobInProgress, completion: Completion | None, letter: str) -> None:
        if ack.kind == acks.START:
            if letter == REFUSED:
                job.mark_lost()
            return
        self._jobs.remove(job)
        self._sources.acknowledged(ack)
        if completion is not None:
            self._settled.add(completion, letter)

    def _admit(self, claim: Claim, sent_at: float, starting: int) -> None:
        job = self._jobs.add(claim, sent_at, starting)
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
        self._settled.log()
