"""The state of the order's state machine: the events, what is known of them and their handlers, and the invariants."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import redis
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant

from surehook.shared.job_id import JobId, packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, text, texts
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.queue.acks import HandlerJob
from tests.support.claiming import SingleClaims

KEYS = Keys()
QUEUES = {"holds": EVENTS_QUEUE, "skips": "other"}
POLICIES = {"holds": "hold", "skips": "skip"}
PROCESSES = ("one", "two", "three")
EVENT_KEYS = ("a", "a", "a", "b", "")
OFTEN, RARELY = (False, True), (False, False, False, True)
RETENTION = 3600
T = TypeVar("T")


@dataclass
class EventModel:
    """An event, and the state of each handler for it: open, running, done or dead."""

    event_id: str
    key: str
    number: int
    states: dict[str, str] = field(default_factory=lambda: dict.fromkeys(QUEUES, "open"))
    is_routed: bool = False
    overtaken: set[str] = field(default_factory=set)
    """The handlers for which later events may run first: its key came late, or a dead letter of it was skipped."""

    def is_open(self) -> bool:
        return any(state in ("open", "running", "dead") for state in self.states.values())


class Read(NamedTuple):
    """The jobs that a sweep has read and not checked yet."""

    read_at: str
    suspects: list[str]
    deferred: list[str]


class OrderState(RuleBasedStateMachine):
    """The state, its helpers and the invariants; the steps are in the test."""

    store: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.store.flushall()
        self.random = Random(0)  # noqa: S311 - nothing secret
        self.steps = self.number = 0
        self.accept_script = Script("accept", KEYS)
        self.events: dict[str, EventModel] = {}
        self.claims: dict[str, list[Claim]] = {process: [] for process in PROCESSES}
        self.tampered: set[str] = set()
        """Deferred jobs that were moved or deleted from outside, and have not come back."""

    def draw(self, values: Sequence[T]) -> T:
        chosen = self.random.choice(values)
        note(f"  {chosen}")
        return chosen

    def claims_of(self, process: str, queue: str) -> SingleClaims:
        claims = SingleClaims(
            self.store, KEYS, queue, f"{process}-{queue}", retention_seconds=RETENTION, handler_timeout=30
        )
        claims.order_types(["user.*"])
        return claims

    def store_event(self, key: str) -> EventModel:
        event_id = str(uuid4())
        row = (event_id, "user.update", "", "", "", "webhook", b"{}", EVENTS_QUEUE, "30", "", packed_id(event_id))
        assert self.accept_script.run(self.store, *row) == [1]
        self.number += 1
        self.events[event_id] = EventModel(event_id, key, self.number)
        return self.events[event_id]

    def of(self, job_id: str) -> EventModel:
        return self.events[JobId.parse(job_id).event_id]

    def place(self, handler: str, event: EventModel) -> str:
        return f"{POLICIES[handler]}:{sha256(event.key.encode()).hexdigest()[:32]}" if event.key else ""

    def handler_jobs(self, event: EventModel, *, without_key: Iterable[str] = ()) -> list[HandlerJob]:
        """The jobs of an event's handlers; for some their key function fails."""
        places = {name: "" if name in without_key else self.place(name, event) for name in QUEUES}
        return [HandlerJob(name, queue, 30.0, places[name]) for name, queue in QUEUES.items()]

    def is_erasing(self, claim: Claim) -> bool:
        """Says that the event goes with the end of its last run."""
        return bool(self.store.hexists(KEYS.event(claim.event_id), "erasing"))

    def is_gone(self, event: EventModel) -> bool:
        return "gone" in event.states.values()

    def replayable(self) -> list[EventModel]:
        return [event for event in self.events.values() if not event.is_open() and not self.is_gone(event)]

    def running(self) -> list[tuple[str, Claim]]:
        """The claims of runs, with their processes."""
        return [(process, claim) for process, claims in self.claims.items() for claim in claims if claim.handler_name]

    def unrouted(self) -> list[tuple[str, Claim]]:
        found = self.claims.items()
        return [(process, claim) for process, claims in found for claim in claims if not claim.handler_name]

    def claimed(self) -> set[str]:
        return {claim.job_id for claims in self.claims.values() for claim in claims}

    def starts(self, claim: Claim) -> None:
        """Records and checks the start of a run."""
        event, handler = self.of(claim.job_id), claim.handler_name
        assert event.states[handler] == "open"
        event.states[handler] = "running"
        if not event.key:
            return
        for other in self.events.values():
            if other is event or other.key != event.key:
                continue
            assert other.states[handler] != "running", "two of a key at once"
            if other.number < event.number and handler not in other.overtaken and handler not in event.overtaken:
                assert other.states[handler] in ("done", "gone"), "out of order"

    def ends(self, claim: Claim, state: str) -> None:
        """Records the end of a run: it stays open, or is done, dead or gone."""
        if state == "dead":
            self.dies(claim.job_id)
        else:
            self.of(claim.job_id).states[claim.handler_name] = state

    def dies(self, job_id: str) -> None:
        """Records a dead letter. An event whose handlers are not chosen takes its places when it is replayed."""
        event, handler = self.of(job_id), JobId.parse(job_id).handler
        if handler:
            event.states[handler] = "dead"
        event.overtaken |= {name for name in QUEUES if not handler or (name == handler and POLICIES[name] == "skip")}

    def queued(self) -> list[str]:
        return [job_id for queue in QUEUES.values() for job_id in texts(self.store.lrange(KEYS.rq_queue(queue), 0, -1))]

    def scheduled(self) -> list[str]:
        return self.registered(KEYS.rq_scheduled)

    def dead(self) -> list[str]:
        return self.registered(KEYS.rq_failed)

    def deferred(self) -> list[str]:
        return self.registered(KEYS.rq_deferred)

    def cancelled(self) -> list[str]:
        """The jobs that were cancelled and are not buried yet."""
        return self.registered(KEYS.rq_canceled)

    def cancellable(self) -> list[str]:
        jobs = [*self.queued(), *self.scheduled(), *self.deferred(), *self.dead(), *sorted(self.claimed())]
        return [job_id for job_id in jobs if job_id not in self.cancelled()]

    def registered(self, key: Callable[[str], str]) -> list[str]:
        return [job_id for queue in QUEUES.values() for job_id in texts(self.store.zrange(key(queue), 0, -1))]

    def queue_of(self, job_id: str) -> str:
        return QUEUES.get(JobId.parse(job_id).handler, EVENTS_QUEUE)

    # Invariants

    @invariant()
    def every_line_has_a_turn_or_waits_for_an_unrouted_event(self) -> None:
        unrouted: Any = self.store.zrange(KEYS.unrouted, 0, 0, withscores=True)
        waiting = set(texts(self.store.zrange(KEYS.waiting_lines, 0, -1)))
        in_lines = set()
        for line in texts(self.store.scan_iter(f"{KEYS.prefix}:line:*")):
            jobs: Any = self.store.zrange(line, 0, -1, withscores=True)
            in_lines |= {text(job_id) for job_id, score in jobs if score != float("-inf")}
            assert sum(score == float("-inf") for _, score in jobs) <= 1
            if jobs[0][1] != float("-inf"):
                assert line in waiting
                assert unrouted[0][1] < jobs[0][1]
        self.tampered = {job_id for job_id in self.tampered if job_id in in_lines} - set(self.deferred())
        assert set(self.deferred()) <= in_lines
        ended = set(self.dead()) | set(self.cancelled())
        assert in_lines == set(self.deferred()) | (in_lines & ended) | self.tampered

    @invariant()
    def only_open_jobs_have_a_turn_and_only_those_are_queued(self) -> None:
        with_turn = {
            text(job_id)
            for line in texts(self.store.scan_iter(f"{KEYS.prefix}:line:*"))
            for job_id in self.store.zrangebyscore(line, "-inf", "-inf")
        }
        dead = set(self.dead())
        for job_id in with_turn:
            handler = JobId.parse(job_id).handler
            assert self.of(job_id).states[handler] in ("open", "running", "dead")
            assert job_id not in dead or POLICIES[handler] == "hold"
        for job_id in self.queued():
            assert job_id in with_turn | self.tampered or not self.has_place(job_id)

    def has_place(self, job_id: str) -> bool:
        event_id, handler = JobId.parse(job_id)
        return bool(handler and self.store.hexists(KEYS.event(event_id), f"line:{handler}"))

    @invariant()
    def a_job_is_queued_once_and_neither_runs_nor_is_in_a_registry(self) -> None:
        queued, registered = self.queued(), {*self.scheduled(), *self.deferred(), *self.dead()}
        assert len(queued) == len(set(queued))
        assert not registered & set(queued)
        assert not self.claimed() & {*queued, *registered}

    @invariant()
    def an_event_is_unrouted_only_while_its_handlers_are_not_chosen(self) -> None:
        for event_id in texts(self.store.zrange(KEYS.unrouted, 0, -1)):
            assert not self.events[event_id].is_routed
            assert event_id not in self.dead()


def an_attempt(handler: str, outcome: str = "done") -> AttemptRecord:
    return AttemptRecord(handler, 1, datetime(2026, 1, 1, tzinfo=UTC), 1.0, outcome)
