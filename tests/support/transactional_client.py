"""Fixtures of an endpoint with transactional events, and of a worker that decides them in the test's own threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from harness.events import USER_ID
from surehook.shared.encryption import BodyCipher
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.index_facts import IndexFacts
from surehook.workers.transactional.batch import RunSlot
from surehook.workers.transactional.decider import Decider
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.pool import SlotPool
from surehook.workers.transactional.protocol import TransactionProtocol
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.run_context import TestContext
from tests.support.transactions import Protocol, Windows

KEYS = Keys()
TIMEOUT_SECONDS = 20.0
# For a test that lets the time of a transaction pass.
SHORT_SECONDS = 3.0
short_transactions = pytest.mark.parametrize("transactional_endpoint", [SHORT_SECONDS], indirect=True)
LONG = Windows(budget=60_000, memory=60_000, confirm=250, retention=3600, beat=60_000, dead=10_000)


@pytest.fixture
def protocol(store: redis.Redis) -> Protocol:
    return Protocol(store, LONG)


@pytest.fixture
def transactional_endpoint(
    settings: Settings, protocol: Protocol, request: pytest.FixtureRequest
) -> Iterator[OpenEndpoint]:
    """An endpoint for which user.create is transactional, and user.delete for one tenant; a worker is available."""
    transactional, seconds = ("user.create", f"{USER_ID}:user.delete"), getattr(request, "param", TIMEOUT_SECONDS)
    with open_endpoint(
        settings.model_copy(update={"transactional_events": transactional, "transaction_timeout": seconds})
    ) as endpoint:
        protocol.beat("worker")
        yield endpoint


ExecutorFactory = Callable[..., TransactionalExecutor]


@pytest.fixture
def transactional_executor(
    store: redis.Redis, claims_of: Callable[..., Claims], counts: Any
) -> Iterator[ExecutorFactory]:
    """Builds transactional executors with the handlers declared by then."""
    runner, context = Runner(30), TestContext()
    watchdog = Watchdog([context.timeout], lambda _: None, lambda: None)
    watchdog.start()

    opened: list[TransactionalExecutor] = []

    def build(worker: str = "worker", cipher: BodyCipher | None = None) -> TransactionalExecutor:
        index_facts = IndexFacts(IndexKey(store, KEYS, cipher or BodyCipher()))
        index_facts.load_key()
        missing_key = MissingKey(cipher or BodyCipher(), claims_of(worker, TRANSACTIONAL_QUEUE).key_needed, counts)
        decider = Decider(
            Registry(registry_module.declared),
            runner,
            counts,
            handler_timeout=30,
            missing_key=missing_key,
            index_facts=index_facts,
        )
        pool = SlotPool([RunSlot(TransactionProtocol(store, KEYS, worker, "worker"), context)])
        exchange = TransactionExchange(store, KEYS, "worker")
        executor = TransactionalExecutor(pool, exchange, decider, missing_key=missing_key)
        opened.append(executor)
        return executor

    yield build
    for each in opened:
        each.close()
    runner.close()
    watchdog.stop()
    watchdog.join()


@pytest.fixture
def decide(
    transactional_endpoint: OpenEndpoint, transactional_executor: ExecutorFactory
) -> Iterator[Callable[..., httpx.Response]]:
    """Delivers an event while a worker decides it."""
    with ThreadPoolExecutor(1) as pool:

        def decide(event: dict[str, Any]) -> httpx.Response:
            response: Future[httpx.Response] = pool.submit(transactional_endpoint.deliver, event)
            executor = transactional_executor()
            while not response.done():
                executor.run_until_idle(0.05)
            return response.result()

        yield decide
