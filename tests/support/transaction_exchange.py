"""Exchanges of a single worker with the store."""

import redis

from surehook.workers.transactional.batch import FinishedRun, RunSlot
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.support.run_context import TestContext
from tests.support.transactions import KEYS


def wait(
    store: redis.Redis, worker: TransactionProtocol, seconds: float, exchange: TransactionExchange | None = None
) -> Transaction | None:
    """Claims the next event that comes within `seconds`."""
    exchange = exchange or TransactionExchange(store, KEYS, "worker")
    try:
        exchange.send([], [RunSlot(worker, TestContext())], seconds)
        return _claimed(exchange)
    finally:
        exchange.close()


def settle_and_wait(
    store: redis.Redis,
    worker: TransactionProtocol,
    transaction: Transaction,
    outcome: Outcome,
    seconds: float,
    exchange: TransactionExchange | None = None,
) -> tuple[str, Transaction | None]:
    """Settles a transaction, and claims the next event that comes within `seconds`. Returns the final outcome, too."""
    exchange = exchange or TransactionExchange(store, KEYS, "worker")
    slot = RunSlot(worker, TestContext())
    try:
        exchange.send([FinishedRun(slot, transaction, outcome, 0.0)], [slot], seconds)
        (final,) = exchange.read_final_outcomes()
        assert isinstance(final, str)
        return final, _claimed(exchange)
    finally:
        exchange.close()


def settle_together(
    store: redis.Redis, *runs: tuple[TransactionProtocol, Transaction, Outcome]
) -> list[str | redis.ResponseError]:
    """Settles several transactions in one call. Returns their final outcomes."""
    exchange = TransactionExchange(store, KEYS, "worker")
    finished = [
        FinishedRun(RunSlot(worker, TestContext()), transaction, outcome, 0.0) for worker, transaction, outcome in runs
    ]
    try:
        exchange.send(finished, [], 0.0)
        return exchange.read_final_outcomes()
    finally:
        exchange.close()


def claim_together(store: redis.Redis, *workers: TransactionProtocol) -> list[Transaction | redis.ResponseError | None]:
    """Claims with several workers in one call."""
    exchange = TransactionExchange(store, KEYS, "worker")
    try:
        exchange.send([], [RunSlot(worker, TestContext()) for worker in workers], 0.001)
        return exchange.read_claims()
    finally:
        exchange.close()


def _claimed(exchange: TransactionExchange) -> Transaction | None:
    (result,) = exchange.read_claims()
    assert not isinstance(result, Exception)
    return result
