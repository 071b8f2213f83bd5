"""The supervisor reports the transactional runs of a dead process, which it reads from shared memory."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import Registry, declared, on
from surehook.workers.rq_worker import worker_names
from surehook.workers.slots import Slots
from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.plan import Plan
from surehook.workers.transactional.fetching import SlotContext
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced, ledger
from tests.support.transactions import Protocol, jobs_of, jump

NAME = "child"


@pytest.fixture
def registry() -> Registry:
    on("user.create", name="check", transactional=True, on_abandoned=lambda event: None)(lambda event: None)
    return Registry(declared)


@pytest.fixture
def child(tmp_path: Path, settings: Settings, registry: Registry) -> Child:
    """A process that was killed by a signal."""
    dead = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    dead.wait()
    return Child(
        "transactional",
        NAME,
        2,
        dead,
        Slots.create(tmp_path / "slots", 4),
        RestartPolicy(),
        Plan(settings, registry, ()),
    )


def _ask(store: redis.Redis, protocol: Protocol, child: Child) -> tuple[Transaction, TransactionProtocol, SlotContext]:
    """A transaction that the process's second thread has claimed."""
    protocol.beat(NAME)
    assert protocol.submit(str(uuid4()), "endpoint").state == "waiting"
    worker = TransactionProtocol(store, KEYS, worker_names(NAME, 2)[1], NAME)
    transaction = worker.claim()
    assert transaction is not None
    context = SlotContext(child.slots, 1)
    context.reserve(transaction)
    return transaction, worker, context


def test_a_run_that_had_started_is_failed_undone_and_counted(
    child: Child, registry: Registry, store: redis.Redis, protocol: Protocol, settings: Settings
) -> None:
    transaction, _, context = _ask(store, protocol, child)
    context.start_run(0.0)

    for _ in range(2):  # the first reply may have been lost
        assert child.give_back(store, settings, registry, counts=True) == 1

    assert protocol.notifications("endpoint") == [(transaction.event_id, transaction.round, "failed")]
    assert jobs_of(store, transaction.event_id) == ["check-abandoned"]
    assert store.zrange(KEYS.orphans, 0, -1) == [transaction.event_id.encode()]
    assert ledger(store)["orphaned"] == 1
    assert is_balanced(store)


def test_a_run_that_had_not_started_goes_to_another_worker(
    child: Child, registry: Registry, store: redis.Redis, protocol: Protocol, settings: Settings
) -> None:
    transaction, _, _ = _ask(store, protocol, child)

    assert child.give_back(store, settings, registry, counts=True) == 0

    again = TransactionProtocol(store, KEYS, "other", "other").claim()
    assert again is not None
    assert (again.event_id, again.round) == (transaction.event_id, transaction.round)
    assert ledger(store).get("orphaned", 0) == 0


@pytest.mark.parametrize("outcome", ["completed", "rejected"])
def test_a_run_that_was_settled_keeps_its_outcome(
    outcome: str, child: Child, registry: Registry, store: redis.Redis, protocol: Protocol, settings: Settings
) -> None:
    transaction, worker, context = _ask(store, protocol, child)
    context.start_run(0.0)
    context.finish_runs()
    worker.settle(transaction, Outcome(outcome))

    assert child.give_back(store, settings, registry, counts=True) == 0

    assert protocol.confirm(transaction.event_id, transaction.round)[0] == outcome
    assert store.zcard(KEYS.orphans) == 0


def test_a_run_that_was_given_up_while_its_machine_slept_is_undone_after_the_kill(
    child: Child, registry: Registry, store: redis.Redis, protocol: Protocol, settings: Settings
) -> None:
    transaction, _, context = _ask(store, protocol, child)
    context.start_run(0.0)
    jump(store, 75_000)
    protocol.beat("other")
    assert TransactionProtocol(store, KEYS, "other", "other").recover(registry, 30) == 1
    store.delete("rq:queue:events")  # it was undone, while the machine slept

    assert child.give_back(store, settings, registry, counts=True) == 1

    assert jobs_of(store, transaction.event_id) == ["check-abandoned"]
    assert ledger(store)["orphaned"] == 1


def test_each_thread_has_its_own_slot(child: Child) -> None:
    SlotContext(child.slots, 1).reserve(Transaction("event", "round", 0, "", "", "", b"", claim=7))

    assert [(slot.index, slot.key) for slot in child.slots.occupied()] == [(1, "event:round:7")]
