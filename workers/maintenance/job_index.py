"""Finds the state of every job of the open events, while the store is in use.

The store cannot tell where a job is without searching each queue's list. So all queues and registries are read once, in
pages, into an index of eight bytes a job, and then the open events are looked up in it. A job that moves during the
scan may not be found: `ScanResult.suspects` must be looked up a second time (`missing_jobs`).

An event may have several jobs, one for each handler. The store knows how many it must have; their names are read only
when another number was found.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, TypeVar

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text, texts
from surehook.workers.maintenance.registry_pages import registry_pages

T = TypeVar("T")
PAGE = 2_000
BATCH = 200
MAX_SUSPECTS = 100_000
EVENT_ID_LENGTH = 36
BUCKETS = 1024
BUCKET_SHIFT = 54
# An entry has 64 bits: 36 of the hash of the event id, 25 of the hash of the job id, 3 for the state.
EVENT_MASK = 2**64 - 2**28
JOB_MASK = 2**28 - 8
STATE_MASK = 7


class JobState(Enum):
    """The state of a job. An event with several jobs has the state that comes first here."""

    RUNNING = "running"
    WAITING = "waiting"
    SCHEDULED = "scheduled"
    DEFERRED = "deferred"
    DEAD = "dead"


JOB_STATES = tuple(JobState)


@dataclass(slots=True)
class ScanResult:
    """The result of a scan."""

    events: Counter[JobState] = field(default_factory=Counter)
    suspects: list[str] = field(default_factory=list)
    """Jobs that should exist and were not found, at most MAX_SUSPECTS."""
    seen: int = 0


class JobScan:
    """Reads all jobs and all open events. `on_page` is called after every page of either."""

    def __init__(self, store: redis.Redis, keys: Keys, on_page: Callable[[int], None] = lambda _: None) -> None:
        self._store = store
        self._keys = keys
        self._on_page = on_page
        self._expected_jobs = Script("expected_jobs", keys)
        self._expected_counts = Script("expected_job_counts", keys)

    def run(self) -> ScanResult:
        """Look up every open event."""
        index = self.read_jobs()
        result = ScanResult()
        for page in self._scan(self._keys.open):
            result.seen += len(page)
            with_several, not_found = [], []
            for event_id in page:
                state, jobs = index.find_event(event_id)
                if state is None:
                    not_found.append(event_id)
                elif jobs:
                    with_several.append((event_id, state, jobs))
                else:
                    result.events[state] += 1
            for batch in _batches(with_several, BATCH):
                not_found += self._check_counts(batch, result)
            for incomplete in _batches(not_found, BATCH):
                self._check_by_name(incomplete, index, result)
            self._on_page(len(page))
        return result

    def missing(self, jobs: Sequence[str]) -> list[str]:
        """The jobs among these that a scan of all queues and registries, starting now, does not find."""
        remaining = {job_id.encode() for job_id in jobs}
        for _, page in self._pages():
            remaining.difference_update(page)
        return [job_id for job_id in jobs if job_id.encode() in remaining]

    def read_jobs(self) -> "JobIndex":
        index = JobIndex()
        for state, page in self._pages():
            index.add(state, page)
        index.sort()
        return index

    def _pages(self) -> Iterator[tuple[JobState, list[bytes]]]:
        """The jobs of all queues, those of other applications too, so that none of ours is overlooked."""
        names = set(texts(self._store.smembers(self._keys.queues)))
        keys = self._keys
        names |= {name.removeprefix(keys.rq_queue("")) for name in texts(self._store.smembers(keys.rq_queues))}
        for queue in sorted(names):
            for key, state in (
                (keys.rq_deferred(queue), JobState.DEFERRED),
                (keys.rq_scheduled(queue), JobState.SCHEDULED),
                (keys.rq_failed(queue), JobState.DEAD),
            ):
                for page in self._scan(key):
                    yield state, page
                    self._on_page(0)
            for page in self._read_list(self._keys.rq_queue(queue)):
                yield JobState.WAITING, page
                self._on_page(0)
            for page in self._scan(self._keys.leases(queue)):
                yield JobState.RUNNING, [claim.partition(b":")[0] for claim in page]
        # A transaction in progress needs no job: the ingest and worker processes that take part in it watch over it.
        for page in self._scan(self._keys.transactions):
            yield JobState.RUNNING, page

    def _check_counts(self, events: Sequence[tuple[bytes, JobState, int]], result: ScanResult) -> list[bytes]:
        """Count the events that have as many jobs as they must have; returns the others."""
        expected = self._expected_counts.run(self._store, *(event_id for event_id, _, _ in events))
        others = []
        for (event_id, state, jobs), number in zip(events, expected, strict=True):
            if jobs == number:
                result.events[state] += 1
            else:
                others.append(event_id)
        return others

    def _check_by_name(self, event_ids: Sequence[bytes], index: "JobIndex", result: ScanResult) -> None:
        """Look up the jobs that these events must have now; an event that has closed since then has none."""
        for jobs in self._expected_jobs.run(self._store, *event_ids):
            found = [index.find(job_id) for job_id in jobs]
            for state in JOB_STATES:
                if state in found:
                    result.events[state] += 1
                    break
            if None in found:
                lost = [text(job_id) for job_id, state in zip(jobs, found, strict=True) if state is None]
                result.suspects.extend(lost[: MAX_SUSPECTS - len(result.suspects)])

    def _scan(self, key: str) -> Iterator[list[bytes]]:
        return registry_pages(self._store, key, PAGE)

    def _read_list(self, key: str) -> Iterator[list[bytes]]:
        # In pages from the tail: a push repeats some items of a page, a pop from the head moves none. So no item that
        # stays is skipped.
        last = -1
        while True:
            page: Any = self._store.lrange(key, last - PAGE + 1, last)
            if page:
                yield page
            if len(page) < PAGE:
                return
            last -= PAGE


class JobIndex:
    """Job ids with their states, eight bytes each; the jobs of an event are neighbours.

    61 bits are hashes. Two jobs of a million are confused in one of five million scans, two jobs of one event in one of
    33 million events.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(BUCKETS)]

    def add(self, state: JobState, job_ids: Iterable[bytes]) -> None:
        buckets, number = self._buckets, JOB_STATES.index(state)
        for job_id in job_ids:
            hashed = (hash(job_id[:EVENT_ID_LENGTH]) & EVENT_MASK) | (hash(job_id) & JOB_MASK)
            buckets[hashed >> BUCKET_SHIFT].append(hashed | number)

    def sort(self) -> None:
        """Call once, after the last `add`."""
        self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]

    def find(self, job_id: bytes) -> JobState | None:
        hashed = (hash(job_id[:EVENT_ID_LENGTH]) & EVENT_MASK) | (hash(job_id) & JOB_MASK)
        bucket = self._buckets[hashed >> BUCKET_SHIFT]
        index = bisect_left(bucket, hashed)
        if index < len(bucket) and bucket[index] & ~STATE_MASK == hashed:
            return JOB_STATES[bucket[index] & STATE_MASK]
        return None

    def find_event(self, event_id: bytes) -> tuple[JobState | None, int]:
        """The state of an event's own job and 0, or the first state of its handlers' jobs and their number."""
        hashed = hash(event_id)
        first, own = hashed & EVENT_MASK, hashed & (EVENT_MASK | JOB_MASK)
        bucket = self._buckets[first >> BUCKET_SHIFT]
        jobs, before, state = 0, -1, STATE_MASK
        for index in range(bisect_left(bucket, first), len(bucket)):
            entry = bucket[index]
            if entry & EVENT_MASK != first:
                break
            job = entry & ~STATE_MASK
            if job == own:
                return JOB_STATES[entry & STATE_MASK], 0
            jobs += job != before
            before, state = job, min(state, entry & STATE_MASK)
        return (JOB_STATES[state], jobs) if jobs else (None, 0)


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
