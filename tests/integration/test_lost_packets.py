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
from surehook.workers.transactional.batch import RunSlot
from surehook.workers.transactional.decider import Decider
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.pool import SlotPool
from surehook.workers.transactional.protocol import TransactionProtocol
from tests.integration.conftest import KEYS
from tests.support.claiming import SingleClaims
from tests.support.run_context import TestContext
from tests.support.transactional_client import LONG
from tests.support.transactions import Protocol

BUDGET_MS = 10_000


class LosesReplies(TransactionExchange):
    """Loses the connection once, when the store has done all that the packet asked for."""

    store: redis.Redis
    has_lost = False

    def read_final_outcomes(self) -> list[str | redis.ResponseError]:
        if not self.has_lost:
            self.has_lost = True
            wait_until(lambda: self.store.get(KEYS.run_of("worker")) is not None, "the store has claimed for it")
            self._connection.close()
            raise redis.ConnectionError
        return super().read_final_outcomes()


def test_a_claim_in_a_lost_packet_is_run_before_its_deadline(
    store: redis.Redis, claims_of: Callable[..., SingleClaims], counts: Any
) -> None:
    protocol = Protocol(store, replace(LONG, budget=BUDGET_MS))
    protocol.beat("worker")
    ids = [str(uuid4()) for _ in range(2)]
    rounds = [protocol.submit(event_id, "endpoint").round for event_id in ids]
    missing_key = MissingKey(BodyCipher(), claims_of("worker", TRANSACTIONAL_QUEUE).key_needed, counts)
    exchange = LosesReplies(store, KEYS, "worker")
    exchange.store = store
    pool = SlotPool([RunSlot(TransactionProtocol(store, KEYS, "worker", "worker"), TestContext())])
    decider = Decider(Registry(declared), Runner(30), counts, handler_timeout=30, missing_key=missing_key)
    executor = TransactionalExecutor(pool, exchange, decider, missing_key=missing_key)

    executor.run_until_idle(0.01)

    decisions = [protocol.confirm(*each)[0] for each in zip(ids, rounds, strict=True)]
    assert decisions == ["failed", "failed"]  # the body has no event; the second one was not left to its deadline
    executor.close()
