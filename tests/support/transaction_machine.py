"""The state of the transaction state machine: two ingest processes, two workers, two events, and the invariants."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar
from uuid import uuid4

import redis
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

from surehook.admin.erasure import Erasure
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import texts
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.job_index import JobScan
from surehook.workers.maintenance.missing_jobs import MissingJobs
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.support.claiming import SingleClaims
from tests.support.oracles.transactions import RecordedCall, RecordedProtocol, Witness
from tests.support.transaction_model import Model
from tests.support.transaction_round import REFUSALS
from tests.support.transactions import KEYS, Protocol, Windows

# Jumps are whole units and deadlines lie half a unit off, so that no instant falls on a boundary and the real time
# that a test takes does not count.
UNIT = 1_000_000
WINDOWS = Windows(
    budget=10 * UNIT + UNIT // 2,
    confirm=2 * UNIT,
    memory=15 * UNIT + UNIT // 2,
    retention=10 * UNIT,
    beat=3 * UNIT + UNIT // 2,
    dead=20 * UNIT,
)
EVENTS, PROCESSES, WORKERS = (0, 1), ("ingest-a", "ingest-b"), ("worker-a", "worker-b")
UNDO = "quota-abandoned"
UNDO_JOBS, COMMITTED_JOBS = f"{UNDO} events 30", "committed events 30"
MOST_WAITING = 3
# How likely each step is among the possible ones. Hypothesis' own choices repeat themselves on purpose: with one rule
# for each step, none of 100 runs got as far as a late rejection.
WEIGHTS = {
    "submit": 2, "submit_together": 1, "claim": 6, "settle": 6, "confirm": 4, "abandon": 2, "time_jumps": 4,
    "recover": 2, "jobs_run": 2,
    "operator_resolves": 1, "worker_freezes": 1, "ingest_dies": 1, "give_back": 2, "late_command": 3,
    "machine_sleeps": 1, "handler_acts": 2, "worker_dies": 1, "erase": 1, "pause": 1,
    "sleeps_through_a_second_asking": 2,
}  # fmt: skip
JUMPS = (1, 2, 5, 11, 12, 13, 25, 35, 50, -1, -5)
OFTEN, RARELY = (False, True), (False, False, False, True)
T = TypeVar("T")


@dataclass
class Request:
    """A delivery that waits for its response."""

    event: int
    round: str
    process: str
    arrived: int
    is_decided: bool = False


@dataclass
class Environment:
    """The store and the handlers under test."""

    store: redis.Redis
    registry: Registry


class MachineState(RuleBasedStateMachine):
    """The state, its helpers and the invariants; the rules are in the test."""

    environment: Environment

    def __init__(self) -> None:
        super().__init__()
        self.store = self.environment.store
        self.store.flushall()
        self.random = Random(0)  # noqa: S311 - nothing secret
        self.protocol = Protocol(self.store, WINDOWS)
        self.ids = [str(uuid4()) for _ in EVENTS]
        self.models = [Model(WINDOWS) for _ in EVENTS]
        self.now = self.steps = 0
        self.beats: dict[str, int] = {}
        self.generations = dict.fromkeys(WORKERS, 0)
        self.running: dict[str, Transaction] = {}
        """The transaction that each worker is running, a frozen worker that is presumed dead included."""
        self.lost: dict[str, Transaction] = {}
        """The transaction claimed for a worker that never received the reply."""
        self.outcomes: dict[int, Outcome] = {}
        self.calls: list[RecordedCall] = []
        self.witness = Witness()
        self.is_paused = False
        self.waiting: list[Request] = []
        self.answers: list[list[str]] = [[] for _ in EVENTS]
        self.protocols: dict[str, RecordedProtocol] = {}
        self.next_inspection: dict[str, int] = {}

    def name(self, worker: str) -> str:
        return f"{worker}-{self.generations[worker]}"

    def protocol_of(self, name: str) -> RecordedProtocol:
        if name not in self.protocols:
            self.protocols[name] = RecordedProtocol(self.store, KEYS, name, name, dead_after_ms=WINDOWS.dead)
            self.protocols[name].calls = self.calls
        return self.protocols[name]

    def exchange_of(self, name: str) -> TransactionExchange:
        """A new connection of this worker, each of which is a process of its own."""
        return TransactionExchange(self.store, KEYS, name)

    def beat(self, worker: str) -> None:
        self.protocol.beat(self.name(worker))
        self.beats[self.name(worker)] = self.now

    def decided(self) -> list[Request]:
        """Returns the waiting requests whose process was notified of the decision."""
        return [request for request in self.waiting if request.is_decided]

    def without_outcome(self) -> list[str]:
        return [name for name, run in self.running.items() if run.claim not in self.outcomes]

    def idle(self) -> list[str]:
        """Returns the workers that are ready to claim."""
        return [name for name in map(self.name, WORKERS) if name not in self.running]

    def job_claims(self) -> SingleClaims:
        """Returns the claims of a worker of the queue `events`."""
        return SingleClaims(
            self.store, KEYS, "events", "clerk", retention_seconds=WINDOWS.retention, handler_timeout=30
        )

    def erasure(self) -> Erasure:
        return Erasure(self.store, KEYS, BodyCipher(), retention_seconds=WINDOWS.retention)

    def draw(self, values: Sequence[T]) -> T:
        chosen = self.random.choice(values)
        note(f"  {chosen}")
        return chosen

    def requeued(self) -> list[str]:
        """Returns what a sweep queues again when every job is a suspect."""
        suspects = [*self.ids, *JobScan(self.store, KEYS).run().suspects]
        return MissingJobs(self.store, KEYS, handler_timeout=30).queue_again(suspects, since="9999")

    def unavailable(self) -> str:
        """Returns why no transaction can begin."""
        return "paused" if self.is_paused else "" if self.beats else "no_worker"

    def answer(self, event: int, state: str) -> None:
        """Records a response: a refusal never follows a success. The models check when a refusal may change."""
        assert state in (*REFUSALS, "completed")
        if "completed" in self.answers[event]:
            assert state == "completed"
        self.answers[event].append(state)

    def queued(self) -> list[str]:
        return texts(self.store.lrange(Keys().rq_queue(TRANSACTIONAL_QUEUE), 0, -1))

    def claimed(self, name: str, queued: list[str], transaction: Transaction | None, *, is_lost: bool) -> None:
        """Records and checks the result of a claim; `queued` is what the queue held before it."""
        self.check_claim(name, queued, transaction)
        self.lost.pop(name, None)
        if transaction is None:
            return
        if is_lost:
            self.lost[name] = transaction
            self.witness.unsure.add(transaction.round)
        else:
            self.running[name] = transaction
            self.witness.starts(transaction.round)

    def check_claim(self, name: str, queued: list[str], transaction: Transaction | None) -> None:
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

    def inspected(self) -> list[Model]:
        """Returns the models whose run the next recovery inspects; it inspects each once per instant of the clock."""
        rounds = [(model, model.round) for model in self.models if model.round and model.round.worker]
        return [model for model, current in rounds if self.now >= self.next_inspection.get(current.number, self.now)]

    def schedule_inspections(self) -> None:
        for model in self.inspected():
            current = model.round
            if current and self.now > current.deadline + WINDOWS.confirm:
                is_due = current.worker not in self.beats and self.now > current.deadline + WINDOWS.dead
                self.next_inspection[current.number] = self.now + (0 if is_due else UNIT)
