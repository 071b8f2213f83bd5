"""Fixtures of a door that asks, and of a back room that decides in the test's own threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from shared.keys import TRANSACTIONAL_QUEUE, Keys
from shared.settings import Settings
from shared.vault import Vault
from tests.support.door import OpenDoor, open_door
from tests.support.events import USER_ID
from tests.support.here import Here
from tests.support.transactions import Protocol, Windows
from workers import registry as registry_module
from workers.claims import Claims
from workers.dispatch import Dispatcher
from workers.lacking import LackingKey
from workers.registry import Registry
from workers.timeouts import Watchdog
from workers.transactions import Transactions
from workers.voting import Voting

KEYS = Keys()
TIMEOUT_SECONDS = 1.0
LONG = Windows(budget=60_000, memory=60_000, confirm=250, retention=3600, beat=60_000, dead=10_000)


@pytest.fixture
def protocol(store: redis.Redis) -> Protocol:
    return Protocol(store, LONG)


@pytest.fixture
def asking_door(settings: Settings, protocol: Protocol) -> Iterator[OpenDoor]:
    """A door that asks about user.create, and for one tenant about user.delete; with a worker that lives."""
    asked = ("user.create", f"{USER_ID}:user.delete")
    with open_door(
        settings.model_copy(update={"transactional_events": asked, "transaction_timeout": TIMEOUT_SECONDS})
    ) as door:
        protocol.beat("room")
        yield door


Room = Callable[..., Voting]


@pytest.fixture
def voting(store: redis.Redis, claims_of: Callable[..., Claims], counts: Any) -> Iterator[Room]:
    """The back room, with the handlers declared by then."""
    dispatcher, here = Dispatcher(30), Here()
    watchdog = Watchdog([here.alarm], lambda _: None, lambda: None)
    watchdog.start()

    opened: list[Voting] = []

    def voting(worker: str = "room", vault: Vault | None = None) -> Voting:
        vault = vault or Vault()
        room = Voting(
            Transactions(store, KEYS, worker, "room"),
            Registry(registry_module.declared),
            dispatcher,
            counts,
            here,
            handler_timeout=30,
            vault=vault,
            lacking=LackingKey(vault, claims_of(worker, TRANSACTIONAL_QUEUE).key_needed, counts),
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
def ask(asking_door: OpenDoor, voting: Room) -> Iterator[Callable[..., httpx.Response]]:
    """Deliver, and let the back room decide meanwhile."""
    with ThreadPoolExecutor(1) as pool:

        def ask(event: dict[str, Any]) -> httpx.Response:
            answer: Future[httpx.Response] = pool.submit(asking_door.deliver, event)
            room = voting()
            while not answer.done():
                room.turn(0.05)
            return answer.result()

        yield ask
