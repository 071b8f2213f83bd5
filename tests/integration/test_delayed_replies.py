"""A slow reply shortens the handler's time, and nothing starts after its deadline."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.scripts import text
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction
from tests.integration.conftest import KEYS
from tests.support.ledger import is_balanced
from tests.support.transaction_exchange import settle_and_wait, wait
from tests.support.transactional_client import LONG
from tests.support.transactions import Protocol

BUDGET_MS = 400
NONE = Transaction(str(uuid4()), "r", 0, "user.create", "", "", b"")


class Clock:
    """Lets the deadline of the jobs in a reply pass before the reply is read."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self.is_late = False

    def linger(self) -> None:
        if self.is_late:
            self.is_late = False
            began = _now_ms(self._store)
            wait_until(lambda: _now_ms(self._store) > began + BUDGET_MS, "the deadline is over")


class LateExchange(TransactionExchange):
    """Reads its first reply late."""

    clock: Clock

    def _read(self) -> Any:
        self.clock.linger()
        return super()._read()


class LateReplies(TransactionProtocol):
    """Reads each reply late, and waits with a late exchange."""

    clock: Clock

    def _run(self, name: str, *args: Any) -> Any:
        reply = super()._run(name, *args)
        self.clock.linger()
        return reply

    def wait(self, seconds: float) -> Transaction | None:
        return wait(self._store, self, seconds, self._exchange())

    def settle_and_wait(self) -> Transaction | None:
        return settle_and_wait(self._store, self, NONE, Outcome("failed"), 0.01, self._exchange())[1]

    def _exchange(self) -> LateExchange:
        exchange = LateExchange(self._store, KEYS, "worker")
        exchange.clock = self.clock
        return exchange


@pytest.fixture
def short(store: redis.Redis) -> Protocol:
    protocol = Protocol(store, replace(LONG, budget=BUDGET_MS))
    protocol.beat("worker")
    return protocol


@pytest.fixture
def worker(store: redis.Redis) -> LateReplies:
    worker = LateReplies(store, KEYS, "one", "worker")
    worker.clock = Clock(store)
    worker.claim()
    for _ in range(2):  # from now on the store knows all the scripts
        assert worker.settle_and_wait() is None
    return worker


WAYS: dict[str, Callable[[LateReplies], Transaction | None]] = {
    "claim": lambda worker: worker.claim(),
    "wait": lambda worker: worker.wait(0.01),
    "settle and wait": LateReplies.settle_and_wait,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_job_in_a_late_reply_is_not_started(
    way: str, store: redis.Redis, short: Protocol, worker: LateReplies
) -> None:
    event_id = str(uuid4())
    short.submit(event_id, "endpoint")
    worker.clock.is_late = True

    assert WAYS[way](worker) is None

    assert text(store.hget(KEYS.event(event_id), "decision") or b"") == "abandoned"
    assert store.zcard(KEYS.orphans) == 0
    assert is_balanced(store)


@pytest.mark.parametrize("is_waiting", [False, True])
def test_a_handler_never_thinks_it_has_longer_than_the_store_gives_it(
    is_waiting: bool, store: redis.Redis, protocol: Protocol, worker: LateReplies
) -> None:
    protocol.beat("worker")
    event_id = str(uuid4())
    protocol.submit(event_id, "endpoint")
    worker.clock.is_late = True

    transaction = worker.wait(0.01) if is_waiting else worker.claim()

    assert transaction is not None
    left_ms = int(store.hget(KEYS.transaction(event_id), "deadline") or 0) - _now_ms(store)
    assert (transaction.seconds_left - (time.monotonic() - transaction.read_at)) * 1000 <= left_ms + 1


def test_waiting_for_an_event_costs_its_handlers_nothing(
    store: redis.Redis, protocol: Protocol, worker: LateReplies
) -> None:
    protocol.beat("worker")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(worker.wait, 10)
        wait_until(lambda: store.info("clients")["blocked_clients"], "it waits")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 2, "a while passes")
        submitted_at = time.monotonic()
        protocol.submit(str(uuid4()), "endpoint")
        transaction = waiting.result()

    assert transaction is not None
    assert transaction.seconds_left + (transaction.read_at - submitted_at) > LONG.budget / 1000 - 1


def _now_ms(store: redis.Redis) -> float:
    seconds, micros = store.time()
    return float(seconds * 1000 + micros / 1000)
