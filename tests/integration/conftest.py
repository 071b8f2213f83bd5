"""Fixtures for tests of the stages on a real store."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
from click.testing import CliRunner

from shared.events import parse_envelope
from shared.keys import EVENTS_QUEUE, Keys
from shared.replies import texts
from shared.scripts import Script
from shared.settings import Settings
from shared.vault import Vault
from surehook.main import cli
from tests.support.door import OpenDoor, open_door
from tests.support.events import USER_ID, a_body, an_event
from tests.support.transactions import Protocol, Windows
from workers import registry as registry_module
from workers.claims import Claims
from workers.dead_letters import DeadLetters
from workers.dispatch import Dispatcher
from workers.handling import Handling
from workers.registry import Registry
from workers.sweep import Sweep
from workers.transactions import Transactions
from workers.voting import Voting
from workers.worker import Worker

KEYS = Keys()
TIMEOUT_SECONDS = 1.0
LONG = Windows(budget=60_000, memory=60_000, confirm=250, retention=3600, beat=60_000, dead=10_000)
Accept = Callable[..., str]
Erase = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def _nothing_declared() -> Iterator[None]:
    before = registry_module.declared[:]
    registry_module.declared.clear()
    yield
    registry_module.declared[:] = before


@pytest.fixture
def accept(store: redis.Redis) -> Accept:
    """Put an event on record as the intake does; returns its id."""
    script = Script("accept", KEYS)

    def accept(event_type: str = "user.delete", vault: Vault | None = None, **fields: Any) -> str:
        event = parse_envelope(a_body(an_event(event_type, **fields)))
        body, key_id = (vault or Vault()).seal(event.body)
        script.run(
            store,
            event.event_id,
            event.event_type,
            event.tenant_id,
            event.user_id,
            event.application_id,
            "webhook",
            body,
            EVENTS_QUEUE,
            "30",
            key_id,
        )
        return event.event_id

    return accept


@pytest.fixture
def claims_of(store: redis.Redis) -> Callable[..., Claims]:
    """The claims of a worker by name, on a queue."""

    def claims_of(worker: str = "one", queue: str = EVENTS_QUEUE) -> Claims:
        return Claims(store, KEYS, queue, worker, retention_seconds=3600, handler_timeout=30)

    return claims_of


@pytest.fixture
def dead_letters(store: redis.Redis) -> DeadLetters:
    return DeadLetters(store, KEYS, retention_seconds=3600, handler_timeout=30)


class Counts:
    """Stands where the metrics go: prometheus-client allows a series only once in a process."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.stale = self.interrupted = self.swept = self
        self.discarded = 0
        self.untyped: list[str] = []

        self.not_ready: set[str] = set()

    def set_not_ready(self, reason: str, *, is_so: bool) -> None:
        (self.not_ready.add if is_so else self.not_ready.discard)(reason)

    def count(self, handler: str, _: object, outcome: str, __: float) -> None:
        self.runs.append((handler, outcome))

    def count_untyped(self, event_type: str) -> None:
        self.untyped.append(event_type)

    def inc(self) -> None:
        self.discarded += 1


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def run_worker(store: redis.Redis, claims_of: Callable[..., Claims], counts: Counts) -> Iterator[Callable[..., Worker]]:
    """Let a worker on a queue take so many turns, with the handlers declared by then."""
    dispatcher = Dispatcher(30)

    def run_worker(turns: int = 1, queue: str = EVENTS_QUEUE, vault: Vault | None = None) -> Worker:
        metrics: Any = counts
        name, registry = f"w-{queue}", Registry(registry_module.declared)
        claims = claims_of(name, queue)
        handling = Handling(claims, registry, dispatcher, metrics, queue=queue, grace_seconds=1, vault=vault)
        worker = Worker(store, queue, name, claims, handling)
        for _ in range(turns):
            worker.turn()
        return worker

    yield run_worker
    dispatcher.close()


@pytest.fixture
def look(store: redis.Redis) -> Callable[[], list[str]]:
    """Sweep now, as the first process whose turn it is."""
    sweep = Sweep(store, KEYS, ["other"], handler_timeout=30)

    def look() -> list[str]:
        store.delete(KEYS.sweep_lock)
        return sweep.look()

    return look


@pytest.fixture
def make_due(store: redis.Redis, claims_of: Callable[..., Claims]) -> Callable[..., int]:
    """Let the time of everything scheduled come, and move it."""

    def make_due(queue: str = EVENTS_QUEUE) -> int:
        for job_id in texts(store.zrange(f"rq:scheduled:{queue}", 0, -1)):
            store.zadd(f"rq:scheduled:{queue}", {job_id: 0})
        return claims_of(queue=queue).move_due()

    return make_due


@pytest.fixture
def erase(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Erase:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def erase(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["events", "erase", *(arguments or ("--user", USER_ID))])
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.exit_code, result.output

    return erase


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


@pytest.fixture
def voting(store: redis.Redis, counts: Counts) -> Iterator[Callable[[], Voting]]:
    """The back room, with the handlers declared by then."""
    dispatcher = Dispatcher(30)

    def voting(worker: str = "room") -> Voting:
        metrics: Any = counts
        transactions = Transactions(store, KEYS, worker, "room")
        registry = Registry(registry_module.declared)
        return Voting(transactions, registry, dispatcher, metrics, handler_timeout=30, grace_seconds=1)

    yield voting
    dispatcher.close()


@pytest.fixture
def ask(asking_door: OpenDoor, voting: Callable[[], Voting]) -> Iterator[Callable[..., httpx.Response]]:
    """Deliver, and let the back room decide meanwhile."""
    with ThreadPoolExecutor(1) as pool:

        def ask(event: dict[str, Any]) -> httpx.Response:
            answer: Future[httpx.Response] = pool.submit(asking_door.deliver, event)
            room = voting()
            while not answer.done():
                room.turn(0.05)
            return answer.result()

        yield ask
