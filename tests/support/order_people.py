"""The steps of people, of RQ's tools and of the sweep in the order's state machine."""

from rq.job import Job
from rq.serializers import JSONSerializer

from surehook.admin.events import EventLog
from surehook.shared.job_id import JobId
from surehook.shared.scripts import Script
from surehook.shared.stats import StatsReader
from surehook.workers.maintenance.job_index import JobScan
from surehook.workers.maintenance.missing_jobs import MissingJobs
from surehook.workers.maintenance.rq_tools import RQTools
from tests.support.order_machine import KEYS, OFTEN, QUEUES, RETENTION, OrderState, Read


class OrderOfPeople(OrderState):
    """Everything that happens to the order apart from workers."""

    read: Read | None = None

    # People, and RQ's tools

    def _replay(self) -> None:
        job_id = self.draw(self.dead())
        self.replay(job_id)

    def replay(self, job_id: str) -> None:
        event, handler = self.of(job_id), JobId.parse(job_id).handler
        assert Script("replay", KEYS).run(self.store, self.queue_of(job_id), job_id, "30") == 1
        if handler:
            event.states[handler] = "open"

    def _discard(self) -> None:
        job_id = self.draw(self.dead())
        assert Script("discard", KEYS).run(self.store, self.queue_of(job_id), job_id, RETENTION) == 1
        handler = JobId.parse(job_id).handler
        for name in [handler] if handler else QUEUES:
            self.of(job_id).states[name] = "done"

    def _reopen(self) -> None:
        event = self.draw(self.replayable())
        assert EventLog(self.store, KEYS, handler_timeout=30).replay(event.event_id)
        self.number += 1
        event.number, event.is_routed, event.states = self.number, False, dict.fromkeys(QUEUES, "open")
        event.overtaken = set()

    def _erase(self) -> None:
        if not self.draw(OFTEN):
            return
        event = self.draw(list(self.events.values()))
        Script("erase", KEYS).run(self.store, event.event_id, "", RETENTION)
        is_claimed = any(claim.event_id == event.event_id for _, claim in self.unrouted())
        for name in QUEUES:
            if event.states[name] != "running" and not is_claimed:
                event.states[name] = "gone"

    def _requeue_out_of_turn(self) -> None:
        job_id = self.draw(self.deferred())
        self.store.zrem(KEYS.rq_deferred(self.queue_of(job_id)), job_id)
        self.store.hset(KEYS.rq_job(job_id), "status", "queued")
        self.store.rpush(KEYS.rq_queue(self.queue_of(job_id)), job_id)
        self.tampered.add(job_id)

    def _delete_job(self) -> None:
        job_id = self.draw(self.deferred())
        self.store.zrem(KEYS.rq_deferred(self.queue_of(job_id)), job_id)
        self.store.delete(KEYS.rq_job(job_id))
        self.tampered.add(job_id)

    def _cancel_job(self) -> None:
        job_id = self.draw(self.cancellable())
        Job.fetch(job_id, self.store, serializer=JSONSerializer).cancel()
        if not JobId.parse(job_id).handler and job_id not in self.claimed():  # no claim knows that it may have a key
            self.of(job_id).overtaken |= set(QUEUES)

    # The sweep

    def _sweep(self) -> None:
        self._bury_cancelled()
        self._sweep_reads()
        self._sweep_checks()

    def _bury_cancelled(self) -> None:
        cancelled = set(self.cancelled())
        RQTools(self.store, KEYS, handler_timeout=30).put_right()
        for job_id in cancelled & set(self.dead()):
            self.dies(job_id)

    def _sweep_reads(self) -> None:
        """Between this step of the sweep and the next, every party goes on."""
        read_at = StatsReader(self.store, KEYS).read().read_at
        suspects = JobScan(self.store, KEYS).run().suspects
        assert set(suspects) <= {*self.tampered, *self.cancelled()}
        self.read = Read(read_at, suspects, self.deferred())

    def _sweep_checks(self) -> None:
        assert self.read is not None
        MissingJobs(self.store, KEYS, handler_timeout=30).queue_again(self.read.suspects, since=self.read.read_at)
        for queue in QUEUES.values():
            job_ids = [job_id for job_id in self.read.deferred if self.queue_of(job_id) == queue]
            Script("sweep_order", KEYS).run(self.store, queue, *job_ids)
        self.read = None
