"""The names of RQ's keys, as its tools look for them."""

DEFAULT_PREFIX = "surehook"
RQ_PREFIX = "rq"


class RQKeys:
    """The part of `Keys` that is RQ's."""

    __slots__ = ()
    prefix: str

    @property
    def rq(self) -> str:
        """The prefix of RQ's keys, as its variable RQ_KEY_PREFIX names it: RQ's own, unless `prefix` was changed."""
        return RQ_PREFIX if self.prefix == DEFAULT_PREFIX else f"{self.prefix}:{RQ_PREFIX}"

    @property
    def rq_queues(self) -> str:
        return f"{self.rq}:queues"

    @property
    def rq_suspended(self) -> str:
        return f"{self.rq}:suspended"

    @property
    def rq_workers(self) -> str:
        return f"{self.rq}:workers"

    def rq_workers_of(self, queue: str) -> str:
        return f"{self.rq}:workers:{queue}"

    def rq_worker(self, name: str) -> str:
        return f"{self.rq}:worker:{name}"

    def rq_job(self, job_id: str) -> str:
        return f"{self.rq}:job:{job_id}"

    def rq_queue(self, queue: str) -> str:
        return f"{self.rq}:queue:{queue}"

    def rq_failed(self, queue: str) -> str:
        return f"{self.rq}:failed:{queue}"

    def rq_scheduled(self, queue: str) -> str:
        return f"{self.rq}:scheduled:{queue}"

    def rq_canceled(self, queue: str) -> str:
        """Sorted set: the jobs that RQ's tools have cancelled."""
        return f"{self.rq}:canceled:{queue}"

    def rq_deferred(self, queue: str) -> str:
        return f"{self.rq}:deferred:{queue}"

    def rq_results(self, job_id: str) -> str:
        return f"{self.rq}:results:{job_id}"
