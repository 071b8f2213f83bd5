"""Where the jobs of all open events are, on a store that goes on working meanwhile.

The store has no index from a job to its place in a queue's list; looking for one there costs the list's length. So all
places are read once, in pages, into eight bytes a job, and then the open events are looked up in them. A job that moves
in between may seem to have none: `ScanResult.suspects` are to be looked for once more before anybody is alarmed.

Of a split event the store is asked how many jobs it must have; only where another number was met, which ones.
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

from surehook.shared.keys import RQ_QUEUES, Keys, rq_failed, rq_queue, rq_scheduled
from surehook.shared.scripts import Script, text, texts

T = TypeVar("T")
PAGE = 2_000
ASK_AT_ONCE = 200
MOST_SUSPECTS = 100_000
EVENT_ID_LENGTH = 36
BUCKETS = 1024
BUCKET_SHIFT = 54
# Of 64 bits: 36 of the event's hash, 26 of the job's, 2 for the place.
EVENT_MASK = 2**64 - 2**28
JOB_MASK = 2**28 - 4
PLACE_MASK = 3


class JobState(Enum):
    """Where a job is. An event with several jobs counts where the first of these is."""

    RUNNING = "running"
    WAITING = "waiting"
    SCHEDULED = "scheduled"
    DEAD = "dead"


JOB_STATES = tuple(JobState)


@dataclass(slots=True)
class ScanResult:
    """What a census found."""

    events: Counter[JobState] = field(default_factory=Counter)
    suspects: list[str] = field(default_factory=list)
    """Jobs that should be somewhere and were not met, at most MOST_SUSPECTS of them."""
    seen: int = 0


class JobScan:
    """Reads places and open events. `on_page` is called after every page of either."""

    def __init__(self, store: redis.Redis, keys: Keys, on_page: Callable[[int], None] = lambda _: None) -> None:
        self._store = store
        self._keys = keys
        self._on_page = on_page
        self._pending = Script("expected_jobs", keys)
        self._how_many = Script("expected_job_counts", keys)

    def take(self) -> ScanResult:
        """Look up every open event."""
        places = self.read_places()
        tally = ScanResult()
        for page in self._scan(self._keys.open):
            tally.seen += len(page)
            split, elsewhere = [], []
            for event_id in page:
                place, parts = places.of_event(event_id)
                if place is None:
                    elsewhere.append(event_id)
                elif parts:
                    split.append((event_id, place, parts))
                else:
                    tally.events[place] += 1
            for some in _in_parts(split, ASK_AT_ONCE):
                elsewhere += self._count_parts(some, tally)
            for part in _in_parts(elsewhere, ASK_AT_ONCE):
                self._look_closer(part, places, tally)
            self._on_page(len(page))
        return tally

    def missing(self, jobs: Sequence[str]) -> list[str]:
        """Which of these are in no place at a reading that begins now."""
        remaining = {job_id.encode() for job_id in jobs}
        for _, page in self._pages():
            remaining.difference_update(page)
        return [job_id for job_id in jobs if job_id.encode() in remaining]

    def read_places(self) -> "JobIndex":
        places = JobIndex()
        for place, page in self._pages():
            places.add(place, page)
        places.seal()
        return places

    def _pages(self) -> Iterator[tuple[JobState, list[bytes]]]:
        """All jobs of all queues, those of other applications included: a queue of ours must not be overlooked."""
        names = set(texts(self._store.smembers(self._keys.queues)))
        names |= {name.removeprefix(rq_queue("")) for name in texts(self._store.smembers(RQ_QUEUES))}
        for queue in sorted(names):
            for key, place in ((rq_scheduled(queue), JobState.SCHEDULED), (rq_failed(queue), JobState.DEAD)):
                for page in self._scan(key):
                    yield place, page
                    self._on_page(0)
            for page in self._read_list(rq_queue(queue)):
                yield JobState.WAITING, page
                self._on_page(0)
            for page in self._scan(self._keys.leases(queue)):
                yield JobState.RUNNING, [claim.partition(b":")[0] for claim in page]
        # A transaction that is not over needs no job: whoever asks or is asked looks after it.
        for page in self._scan(self._keys.transactions):
            yield JobState.RUNNING, page

    def _count_parts(self, split: Sequence[tuple[bytes, JobState, int]], tally: ScanResult) -> list[bytes]:
        """Those split events that must have another number of jobs than were met."""
        expected = self._how_many.run(self._store, *(event_id for event_id, _, _ in split))
        others = []
        for (event_id, place, parts), number in zip(split, expected, strict=True):
            if parts == number:
                tally.events[place] += 1
            else:
                others.append(event_id)
        return others

    def _look_closer(self, event_ids: Sequence[bytes], places: "JobIndex", tally: ScanResult) -> None:
        """By name: what was closed or split meanwhile, and what has no job."""
        for jobs in self._pending.run(self._store, *event_ids):
            found = [places.of(job_id) for job_id in jobs]
            for place in JOB_STATES:
                if place in found:
                    tally.events[place] += 1
                    break
            if None in found:
                lost = [text(job_id) for job_id, place in zip(jobs, found, strict=True) if place is None]
                tally.suspects.extend(lost[: MOST_SUSPECTS - len(tally.suspects)])

    def _scan(self, key: str) -> Iterator[list[bytes]]:
        # ZSCAN promises every member that is there all the time; pages by rank or score skip some when others leave.
        cursor = 0
        while True:
            reply: Any = self._store.zscan(key, cursor, count=PAGE)
            cursor, members = reply
            if members:
                yield [member for member, _ in members]
            if not cursor:
                return

    def _read_list(self, key: str) -> Iterator[list[bytes]]:
        # From the tail, by distance from it: what is pushed meanwhile shows a page's items again, what is popped from
        # the head moves nothing, so no item that stays is skipped.
        last = -1
        while True:
            page: Any = self._store.lrange(key, last - PAGE + 1, last)
            if page:
                yield page
            if len(page) < PAGE:
                return
            last -= PAGE


class JobIndex:
    """Job ids with their places, eight bytes each, a job beside the others of its event.

    62 bits are hashes. Two jobs of a million look alike once in ten million readings, two of one event in one of 67
    million events.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(BUCKETS)]

    def add(self, place: JobState, job_ids: Iterable[bytes]) -> None:
        buckets, number = self._buckets, JOB_STATES.index(place)
        for job_id in job_ids:
            hashed = (hash(job_id[:EVENT_ID_LENGTH]) & EVENT_MASK) | (hash(job_id) & JOB_MASK)
            buckets[hashed >> BUCKET_SHIFT].append(hashed | number)

    def seal(self) -> None:
        """No more will come: sort, a bucket at a time."""
        self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]

    def of(self, job_id: bytes) -> JobState | None:
        hashed = (hash(job_id[:EVENT_ID_LENGTH]) & EVENT_MASK) | (hash(job_id) & JOB_MASK)
        bucket = self._buckets[hashed >> BUCKET_SHIFT]
        index = bisect_left(bucket, hashed)
        if index < len(bucket) and bucket[index] & ~PLACE_MASK == hashed:
            return JOB_STATES[bucket[index] & PLACE_MASK]
        return None

    def of_event(self, event_id: bytes) -> tuple[JobState | None, int]:
        """Where its own job is, and 0; or the first of the places its parts are in, and how many parts those are."""
        hashed = hash(event_id)
        first, own = hashed & EVENT_MASK, hashed & (EVENT_MASK | JOB_MASK)
        bucket = self._buckets[first >> BUCKET_SHIFT]
        parts, before, place = 0, -1, PLACE_MASK
        for index in range(bisect_left(bucket, first), len(bucket)):
            entry = bucket[index]
            if entry & EVENT_MASK != first:
                break
            job = entry & ~PLACE_MASK
            if job == own:
                return JOB_STATES[entry & PLACE_MASK], 0
            parts += job != before
            before, place = job, min(place, entry & PLACE_MASK)
        return (JOB_STATES[place], parts) if parts else (None, 0)


def _in_parts(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
