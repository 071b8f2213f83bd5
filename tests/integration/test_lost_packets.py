"""A packet with an outcome and a claim gets through, and its replies are lost."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import redis

from harness.stack import wait_until
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.handlers.registry import Registry, declared
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.claiming import SingleClaims
from tests.support.run_context import TestContext
from tests.support.transactional_client import LONG
from tests.support.transactions import Protocol

BUDGET_MS, WAIT_SECONDS = 10_000, 12.0


class LosesReplies(TransactionProtocol):
    """Loses the connection once, when the store has done all that the packet asked for."""

    has_lost = False

    def read_final_outcome(self, transaction: Transaction, outcome: Outcome) -> str:
        if not self.has_lost:
            self.has_lost = True
            wait_until(lambda: self._store.get(KEYS.run_of("worker")) is not None, "the store has claimed for it")
            self._connection.close()
            raise redis.ConnectionError
        return super().read_final_outcome(transaction, outcome)


def test_a_claim_in_a_lost_packet_is_run_before_its_deadline(
    store: redis.Redis, claims_of: Callable[..., SingleClaims], counts: Any
) -> None:
    protocol = Protocol(store, replace(LONG, budget=BUDGET_MS))
    protocol.beat("worker")
    ids = [str(uuid4()) for _ in range(2)]
    rounds = [protocol.submit(event_id, "endpoint").round for event_id in ids]
    missing_key = MissingKey(BodyCipher(), claims_of("worker", TRANSACTIONAL_QUEUE).key_needed, counts)
    executor = TransactionalExecutor(
        LosesReplies(store, KEYS, "worker", "worker"),
        Registry(declared),
        Runner(30),
        counts,
        TestContext(),
        handler_timeout=30,
        missing_key=missing_key,
    )

    executor.run_until_idle(0.01)
    executor.run_until_idle(WAIT_SECONDS)

    decisions = [protocol.confirm(*each)[0] for each in zip(ids, rounds, strict=True)]
    assert decisions == ["failed", "failed"]  # the body has no event; the second one was not left to its deadline
    executor.close()
