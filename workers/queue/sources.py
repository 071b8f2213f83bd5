"""The queues that a fetcher serves: its process's, and those of handlers with limits, which take turns with it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims, FetchResult
from surehook.workers.queue.completion import Completion
from surehook.workers.queue.threads import Finished, JobInProgress


class WakeUp(NamedTuple):
    """Queues in which a job may start now; without any, that of the process."""

    queues: tuple[str, ...] = ()


class Source:
    """One queue: what is to be acknowledged there, and when its next exchange may bring jobs."""

    def __init__(self, claims: Claims, *, is_limited: bool = False) -> None:
        self.claims = claims
        self.script = claims.exchange_script()
        self.is_limited = is_limited
        self.acks: list[tuple[Ack, JobInProgress, Completion | None]] = []
        self.may_have_jobs = True
        self.waits_until = 0.0

    def is_ready(self, now: float) -> bool:
        return self.may_have_jobs and now >= self.waits_until

    def wake_up(self) -> None:
        """Something has changed: a job was queued, or one may start again."""
        self.may_have_jobs = True
        if self.is_limited:
            self.waits_until = 0.0

    def note_limits(self, result: FetchResult, wanted: int, now: float) -> None:
        """Waits as long as the store says, or until a wake-up."""
        if wanted == 0:
            return
        self.may_have_jobs = result.wait_seconds is not None
        self.waits_until = now + (result.wait_seconds or 0.0)


class Sources:
    """The queue of the process first, then the handlers' own."""

    def __init__(self, claims: Claims, limited: Iterable[Claims]) -> None:
        self.first = Source(claims)
        self.limited = {each.queue: Source(each, is_limited=True) for each in limited}
        self.all = [self.first, *self.limited.values()]
        self._turn = 0

    def of(self, queue: str) -> Source:
        return self.limited.get(queue, self.first)

    def add(self, ack: Ack, job: JobInProgress) -> None:
        self.of(job.claim.queue).acks.append((ack, job, None))

    def finished(self, item: Finished) -> None:
        source = self.of(item.job.claim.queue)
        source.acks.append((item.completion.ack, item.job, item.completion))
        if source.is_limited:
            source.may_have_jobs = True  # the end of one may let another start

    def acknowledged(self, ack: Ack) -> None:
        if self.limited and (targets := ack.targets()):
            self.wake_up([str(each) for each in targets])

    def wake_up(self, queues: Sequence[str]) -> None:
        if not queues:
            self.first.wake_up()
        for queue in queues:
            if (source := self.limited.get(queue)) is not None:
                source.wake_up()

    def in_turn(self) -> Iterator[Source]:
        """All of them, each time another one first: the first may take the last idle thread."""
        self._turn = (self._turn + 1) % len(self.all)
        yield from self.all[self._turn :]
        yield from self.all[: self._turn]

    def others(self, source: Source, now: float) -> int | None:
        """With how many other queues a queue shares the idle threads. None: it has all, and may fetch ahead.

        A claim of a limited queue counts as running, so none is fetched ahead. While one may start, none of the
        process's queue is either, or its jobs would take every thread.
        """
        if not self.limited:
            return None
        others = sum(each.is_ready(now) for each in self.all if each is not source)
        return others if source.is_limited or others else None

    def next_ready(self, now: float, until: float) -> float:
        """When the next of those that wait may have jobs, or `until`."""
        waiting = [each.waits_until for each in self.all if each.may_have_jobs and each.waits_until > now]
        return min([until, *waiting])
