"""Fixtures of a door that asks, and of a back room that decides in the test's own threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from harness.events import USER_ID
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.protocol import TransactionProtocol
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.run_context import Here
from tests.support.transactions import Protocol, Windows

KEYS = Keys()
TIMEOUT_SECONDS = 1.0
LONG = Windows(budget=60_000, memory=60_000, confirm=250, retention=3600, beat=60_000, dead=10_000)


@pytest.fixture
def protocol(store: redis.Redis) -> Protocol:
    return Protocol(store, LONG)


@pytest.fixture
def transactional_endpoint(settings: Settings, protocol: Protocol) -> Iterator[OpenEndpoint]:
    """A door that asks about user.create, and for one tenant about user.delete; with a worker that lives."""
    asked = ("user.create", f"{USER_ID}:user.delete")
    with open_endpoint(
        settings.model_copy(update={"transactional_events": asked, "transaction_timeout": TIMEOUT_SECONDS})
    ) as door:
        protocol.beat("room")
        yield door


Room = Callable[..., TransactionalExecutor]


@pytest.fixture
def voting(store: redis.Redis, claims_of: Callable[..., Claims], counts: Any) -> Iterator[Room]:
    """The back room, with the handlers declared by then."""
    dispatcher, here = Runner(30), Here()
    watchdog = Watchdog([here.timeout], lambda _: None, lambda: None)
    watchdog.start()

    opened: list[TransactionalExecutor] = []

    def voting(worker: str = "room", vault: BodyCipher | None = None) -> TransactionalExecutor:
        vault = vault or BodyCipher()
        room = TransactionalExecutor(
            TransactionProtocol(store, KEYS, worker, "room"),
            Registry(registry_module.declared),
            dispatcher,
            counts,
            here,
            handler_timeout=30,
            missing_key=MissingKey(vault, claims_of(worker, TRANSACTIONAL_QUEUE).key_needed, counts),
        )
        opened.append(room)
        return room

    yield voting
    for each in opened:
        each.close()
    dispatcher.close()
    watchdog.stop()
    watchdog.join()


@pytest.fixture
def ask(transactional_endpoint: OpenEndpoint, voting: Room) -> Iterator[Callable[..., httpx.Response]]:
    """Deliver, and let the back room decide meanwhile."""
    with ThreadPoolExecutor(1) as pool:

        def ask(event: dict[str, Any]) -> httpx.Response:
            answer: Future[httpx.Response] = pool.submit(transactional_endpoint.deliver, event)
            room = voting()
            while not answer.done():
                room.run_until_idle(0.05)
            return answer.result()

        yield ask
