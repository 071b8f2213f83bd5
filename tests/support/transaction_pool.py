"""The transactional threads of one worker process: they share a pool of slots, on a real store."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import redis

from harness.events import a_body, an_event
from harness.stack import wait_until
from surehook import Event
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.scripts import Script, text, texts
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.handlers.registry import Registry, declared, on
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional import executor, pool
from surehook.workers.transactional.batch import FinishedRun, RunSlot
from surehook.workers.transactional.decider import Decider
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.fetching import HeldUpCheck, TransactionThread
from surehook.workers.transactional.pool import HIGHEST, SlotPool
from surehook.workers.transactional.protocol import SCRIPT_NAMES, TransactionProtocol
from tests.support.claiming import SingleClaims
from tests.support.run_context import TestContext
from tests.support.transactions import KEYS, Protocol

SLOTS = 4
# A thread claims twice as many as it got before, so these come before a full batch.
FIRST = SLOTS - 1
WORKER = "worker"
MUCH_SECONDS = 60.0
Act = Callable[[], object]


class Submitted(NamedTuple):
    """An event that was submitted."""

    id: str
    round: str


class RecordingExchange(TransactionExchange):
    """Records how many outcomes, and claims, each packet has. All threads of a process share the list."""

    packets: list[tuple[int, int]]

    def send(self, finished: Sequence[FinishedRun], claiming: Sequence[RunSlot], wait_seconds: float) -> None:
        self.packets.append((len(finished), len(claiming)))
        super().send(finished, claiming, wait_seconds)


class TransactionPool:
    """The threads of a worker process. Its only handler does for each event what the test says."""

    def __init__(
        self,
        store: redis.Redis,
        protocol: Protocol,
        claims: SingleClaims,
        counts: Any,
        exchange: Any = RecordingExchange,
    ) -> None:
        self.store = store
        self.protocol = protocol
        self.packets: list[tuple[int, int]] = []
        self.ran: list[str] = []
        self.threads: list[TransactionThread] = []
        self.runner = Runner(30)
        self.counts = counts
        self.missing_key = MissingKey(BodyCipher(), claims.key_needed, counts)
        self.names = [f"{WORKER}-{number}" for number in range(SLOTS)]
        workers = [TransactionProtocol(store, KEYS, name, WORKER) for name in self.names]
        self.slots = [RunSlot(worker, TestContext()) for worker in workers]
        self.pool = SlotPool(self.slots)
        self._check = HeldUpCheck(self.pool)
        self._acts: dict[str, Act] = {}
        self._exchange = exchange
        on("user.create", name="check", transactional=True)(self._handle)
        protocol.beat(WORKER)
        # Scripts that the store does not know would be sent again, which changes packets and their order.
        for script in SCRIPT_NAMES:
            store.script_load(Script(script, KEYS).source)
        first = self.executor()
        first.run_until_idle(0.001)  # from now on no slot may hold a claim
        first.close()
        self.packets.clear()
        self.make_fast()

    def make_fast(self) -> None:
        for _ in range(HIGHEST):
            self.pool.note_run(0.0)

    def executor(self) -> TransactionalExecutor:
        exchange = self._exchange(self.store, KEYS, WORKER)
        exchange.packets = self.packets
        decider = Decider(
            Registry(declared), self.runner, self.counts, handler_timeout=30, missing_key=self.missing_key
        )
        return TransactionalExecutor(self.pool, exchange, decider, missing_key=self.missing_key)

    def submit(self, *acts: Act) -> list[Submitted]:
        """Submits events together; the handler calls each one's function."""
        ids = [str(uuid4()) for _ in acts]
        self._acts.update(zip(ids, acts, strict=True))
        replies = self.protocol.submit_many(ids, "endpoint", body=a_body(an_event("user.create")))
        return [Submitted(each, getattr(reply, "round", "")) for each, reply in zip(ids, replies, strict=True)]

    def submit_batch(self, *acts: Act) -> list[Submitted]:
        """Submits events that a thread claims in one packet. Returns these only."""
        assert len(acts) == SLOTS
        return self.submit(*[nothing] * FIRST, *acts)[FIRST:]

    def run_in_this_thread(self) -> None:
        """Runs what is queued, as one thread of the process."""
        executor = self.executor()
        executor.run_until_idle(0.01)
        while self.pool.has_work:  # it may leave a batch that takes long to the next call
            executor.run_until_idle(0.01)
        executor.close()

    def start(self, threads: int = 2) -> None:
        self.threads = [
            TransactionThread(f"thread-{number}", self.executor(), self.pool, StoreReport())
            for number in range(threads)
        ]
        for each in (self._check, *self.threads):
            each.start()

    def stop(self) -> None:
        """Stops claiming, as a worker process that ends."""
        for thread in self.threads:
            thread.stop()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)
        assert not any(each.is_alive() for each in self.threads)

    def close(self) -> None:
        self.stop()
        self.join()
        self._check.stop()
        if self._check.is_alive():
            self._check.join()
        self.runner.close()

    def state(self, event: Submitted) -> str:
        return text(self.store.hget(KEYS.transaction(event.id), "state"))

    def is_decided(self, event: Submitted) -> bool:
        return self.state(event) not in ("waiting", "running")

    def wait_until_decided(self, *events: Submitted) -> None:
        for event in events:
            wait_until(partial(self.is_decided, event), f"{event} is decided")

    def confirm(self, *events: Submitted) -> list[tuple[str, str]]:
        """The outcome and the reason of each, as its sender gets them."""
        return [self.protocol.confirm(event.id, event.round) for event in events]

    def held(self) -> list[str]:
        """The runs that the store thinks the process has."""
        return [text(each) for each in self.store.mget(map(KEYS.run_of, self.names)) if each]

    def queued(self) -> list[str]:
        return texts(self.store.lrange(KEYS.rq_queue(TRANSACTIONAL_QUEUE), 0, -1))

    def _handle(self, event: Event) -> None:
        event_id = str(event.id)
        self.ran.append(event_id)
        self._acts[event_id]()


def nothing() -> None:
    """A handler that returns at once."""


def stay_fast(monkeypatch: pytest.MonkeyPatch, *, until_held_up: bool = False) -> None:
    """Lets no run count as slow or held up: on a busy machine, one that returns at once may be both."""
    for name in ("FAST_SECONDS", "LONG_SECONDS"):
        monkeypatch.setattr(pool, name, MUCH_SECONDS)
    monkeypatch.setattr(executor, "LONGEST_BATCH_SECONDS", MUCH_SECONDS)
    if not until_held_up:
        monkeypatch.setattr(pool, "HELD_UP_SECONDS", MUCH_SECONDS)
