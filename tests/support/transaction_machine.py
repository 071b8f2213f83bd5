"""What the state machine for transactions stands on: two doors, two workers, two events, and what must always hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar
from uuid import uuid4

import redis
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant

from surehook.admin.erasure import Erasure
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE, rq_queue
from surehook.shared.scripts import texts
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.job_index import JobScan
from surehook.workers.maintenance.missing_jobs import LostJobs
from surehook.workers.transactional.protocol import Outcome, Transaction
from tests.support.claiming import SingleClaims
from tests.support.ledger import is_balanced, ledger
from tests.support.oracles.transactions import Call, Recorded, Witness
from tests.support.transaction_model import NO, Model
from tests.support.transactions import KEYS, Protocol, Windows, jobs_of

# Instants never meet a boundary: jumps are whole units, deadlines lie half a unit off. Real time passes unnoticed.
UNIT = 1_000_000
WINDOWS = Windows(
    budget=10 * UNIT + UNIT // 2,
    confirm=2 * UNIT,
    memory=15 * UNIT + UNIT // 2,
    retention=10 * UNIT,
    beat=3 * UNIT + UNIT // 2,
    dead=20 * UNIT,
)
EVENTS, PROCESSES, WORKERS = (0, 1), ("door-a", "door-b"), ("room-a", "room-b")
UNDO = "voter-abandoned"
UNDO_PARTS, FACT_PARTS = f"{UNDO} events 30", "facts events 30"
MOST_WAITING = 3
# How likely each step is, among those that can do something: most of them must lead somewhere. Hypothesis' own choices
# repeat themselves on purpose; of 100 runs with rules of their own, none got as far as a late rejection.
WEIGHTS = {
    "submit": 2, "claim": 6, "settle": 6, "confirm": 4, "abandon": 2, "time_jumps": 4, "recover": 2, "jobs_run": 2,
    "a_person_looks": 1, "worker_freezes": 1, "door_dies": 1, "give_back": 2, "late_packet": 3,
    "machine_sleeps": 1, "erase": 1, "pause": 1,
}  # fmt: skip
JUMPS = (1, 2, 5, 11, 12, 13, 25, 35, 50, -1, -5)
OFTEN, RARELY = (False, True), (False, False, False, True)
T = TypeVar("T")


@dataclass
class Request:
    """A delivery that waits for its answer."""

    event: int
    round: str
    process: str
    arrived: int
    is_told: bool = False


@dataclass
class Bench:
    """What a machine works on."""

    store: redis.Redis
    registry: Registry


class Stage(RuleBasedStateMachine):
    """State, helpers and invariants; the rules are in the test."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.store = self.bench.store
        self.store.flushall()
        self.protocol = Protocol(self.store, WINDOWS)
        self.ids = [str(uuid4()) for _ in EVENTS]
        self.models = [Model(WINDOWS) for _ in EVENTS]
        self.now = self.steps = 0
        self.beats: dict[str, int] = {}
        self.generations = dict.fromkeys(WORKERS, 0)
        self.held: dict[str, Transaction] = {}
        """What a worker runs, and knows that it does; one that stands still, and is taken for dead, among them."""
        self.lost: dict[str, Transaction] = {}
        """What was claimed for it, and it does not know."""
        self.verdicts: dict[int, Outcome] = {}
        self.calls: list[Call] = []
        self.witness = Witness()
        self.is_paused = False
        self.waiting: list[Request] = []
        self.answers: list[list[str]] = [[] for _ in EVENTS]
        self.rooms: dict[str, Recorded] = {}
        self.look_at: dict[str, int] = {}

    def name(self, worker: str) -> str:
        return f"{worker}-{self.generations[worker]}"

    def room(self, name: str) -> Recorded:
        if name not in self.rooms:
            self.rooms[name] = Recorded(self.store, KEYS, name, name, dead_after_ms=WINDOWS.dead)
            self.rooms[name].calls = self.calls
        return self.rooms[name]

    def beat(self, worker: str) -> None:
        self.protocol.beat(self.name(worker))
        self.beats[self.name(worker)] = self.now

    def close_rooms(self) -> None:
        for room in self.rooms.values():
            room.close()

    def told(self) -> list[Request]:
        """Those who wait and whose process has heard that it is decided."""
        return [request for request in self.waiting if request.is_told]

    def untried(self) -> list[str]:
        return [name for name, run in self.held.items() if run.claim not in self.verdicts]

    def idle(self) -> list[str]:
        """Workers that ask for the next one."""
        return [name for name in map(self.name, WORKERS) if name not in self.held]

    def clerk(self) -> SingleClaims:
        """Does the jobs on the retrying queue."""
        return SingleClaims(
            self.store, KEYS, "events", "clerk", retention_seconds=WINDOWS.retention, handler_timeout=30
        )

    def erasure(self) -> Erasure:
        return Erasure(self.store, KEYS, BodyCipher(), retention_seconds=WINDOWS.retention)

    random: Random

    def draw(self, values: Sequence[T]) -> T:
        chosen = self.random.choice(values)
        note(f"  {chosen}")
        return chosen

    def queued_again(self) -> list[str]:
        """What a sweep queues that takes nothing for moved."""
        suspects = [*self.ids, *JobScan(self.store, KEYS).take().suspects]
        return LostJobs(self.store, KEYS, handler_timeout=30).queue_again(suspects, since="9999")

    def hindrance(self) -> str:
        """Why nothing new is asked."""
        return "paused" if self.is_paused else "" if self.beats else "unattended"

    def answer(self, event: int, state: str) -> None:
        """A yes is never followed by a no, nor a no by another one before it is forgotten: the models say when."""
        assert state in (*NO, "completed")
        if "completed" in self.answers[event]:
            assert state == "completed"
        self.answers[event].append(state)

    def queued(self) -> list[str]:
        return texts(self.store.lrange(rq_queue(TRANSACTIONAL_QUEUE), 0, -1))

    def took(self, name: str, queued: list[str], transaction: Transaction | None, *, is_lost: bool) -> None:
        """What a claim brought, where so much was queued."""
        self.expect_start(name, queued, transaction)
        self.lost.pop(name, None)
        if transaction is None:
            return
        if is_lost:
            self.lost[name] = transaction
            self.witness.unsure.add(transaction.round)
        else:
            self.held[name] = transaction
            self.witness.starts(transaction.round)

    def expect_start(self, name: str, queued: list[str], transaction: Transaction | None) -> None:
        claim = transaction.claim if transaction else 0
        before = self.lost.get(name)
        if before:
            model = self.models[self.ids.index(before.event_id)]
            model.forget(self.now)
            current = model.round
            if current and (current.number, current.worker, current.claim) == (before.round, name, before.claim):
                if current.state == "running" and self.now <= current.deadline:
                    assert transaction
                    current.claim = claim
                    assert (transaction.event_id, transaction.round) == (before.event_id, before.round)
                    return
                model.release(self.now)
        for event_id in [] if self.is_paused else queued:
            if self.models[self.ids.index(event_id)].starts(name, claim, self.now):
                assert transaction
                assert transaction.event_id == event_id
                return
        assert transaction is None

    def expect_recovery(self) -> None:
        for model in self.models:
            model.recover(self.now)

    def looked_at(self) -> list[Model]:
        """Those with a run that is looked at now: after a look, the next one comes when the clock has gone on."""
        running = [model for model in self.models if model.round and model.round.worker]
        return [
            model for model in running if model.round and self.now >= self.look_at.get(model.round.number, self.now)
        ]

    def note_looks(self) -> None:
        for model in self.looked_at():
            current = model.round
            if current and self.now > current.deadline + WINDOWS.confirm:
                is_due = current.worker not in self.beats and self.now > current.deadline + WINDOWS.dead
                self.look_at[current.number] = self.now + (0 if is_due else UNIT)

    # What must hold

    @invariant()
    def every_process_that_waits_is_told_once(self) -> None:
        heard: dict[str, list[tuple[str, str, str]]] = {event_id: [] for event_id in self.ids}
        for process in PROCESSES:
            for event_id, number, state in self.protocol.woken(process):
                heard[event_id].append((process, number, state))
                key = (self.ids.index(event_id), number, process)
                for request in self.waiting:
                    request.is_told |= (request.event, request.round, request.process) == key
        for event_id, model in zip(self.ids, self.models, strict=True):
            expected, model.woken = sorted(model.woken), []
            assert sorted(heard[event_id]) == expected

    @invariant()
    def the_books_balance(self) -> None:
        assert is_balanced(self.store)
        assert ledger(self.store)["open"] == sum(not model.is_closed for model in self.models)

    @invariant()
    def each_orphan_is_found_once(self) -> None:
        assert ledger(self.store).get("orphaned", 0) == sum(model.orphans for model in self.models)
        listed = {i for i, event_id in enumerate(self.ids) if self.store.zscore(KEYS.orphans, event_id) is not None}
        assert listed == {i for i, model in enumerate(self.models) if model.is_orphan}

    @invariant()
    def nobody_is_told_twice_or_too_early(self) -> None:
        for event_id, model in zip(self.ids, self.models, strict=True):
            assert jobs_of(self.store, event_id) == model.parts

    @invariant()
    def a_no_is_listed_while_it_stands(self) -> None:
        for event_id, model in zip(self.ids, self.models, strict=True):
            listed = [each for each in NO if self.store.zscore(KEYS.decided(each), event_id) is not None]
            assert listed == ([model.decision] if model.decision in NO and not model.is_fact else [])
