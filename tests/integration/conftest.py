"""Fixtures for tests of the stages on a real store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from harness.events import USER_ID, a_body, an_event
from surehook.admin.dead_letters import DeadLetters
from surehook.main import cli
from surehook.shared.encryption import BodyCipher
from surehook.shared.envelope import parse_envelope
from surehook.shared.job_id import packed_id
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Script, texts
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.sweeper import Sweep
from surehook.workers.queue.completion import log_completion
from surehook.workers.queue.executor import JobExecutor
from tests.support.claiming import SingleClaims
from tests.support.run_context import TestContext
from tests.support.spooling import adopts_often, is_patient, looks_often, spooling, surehook
from tests.support.transactional_client import decide, protocol, transactional_endpoint, transactional_executor
from tests.support.worker_harness import WorkerHarness

__all__ = [
    "adopts_often", "decide", "is_patient", "looks_often", "protocol", "spooling", "surehook", "transactional_endpoint",
    "transactional_executor",
]  # fmt: skip  # fixtures of tests.support

KEYS = Keys()
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
    """Store an event as the acceptor does; returns its id."""
    script = Script("accept", KEYS)

    def accept(event_type: str = "user.delete", cipher: BodyCipher | None = None, **fields: Any) -> str:
        event = parse_envelope(a_body(an_event(event_type, **fields)))
        body, key_id = (cipher or BodyCipher()).encrypt(event.body)
        script.run(
            store,
            event.event_id,
            event.event_type,
            event.tenant_id,
            event.user_id,
            event.application_ids,
            "webhook",
            body,
            EVENTS_QUEUE,
            "30",
            key_id,
            packed_id(event.event_id),
        )
        return event.event_id

    return accept


@pytest.fixture
def claims_of(store: redis.Redis) -> Callable[..., SingleClaims]:
    """The claims of a worker by name, on a queue."""

    def claims_of(worker: str = "one", queue: str = EVENTS_QUEUE) -> SingleClaims:
        claims = SingleClaims(store, KEYS, queue, worker, retention_seconds=3600, handler_timeout=30)
        claims.order_types(Registry(registry_module.declared).ordered_types)
        return claims

    return claims_of


@pytest.fixture
def dead_letters(store: redis.Redis) -> DeadLetters:
    return DeadLetters(store, KEYS, retention_seconds=3600, handler_timeout=30)


class Counts:
    """Stands in for the metrics, because prometheus-client allows a series only once in a process."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.stale = self.interrupted = self.swept = self
        self.discarded = 0
        self.untyped: list[str] = []
        self.unhandled: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.waits: list[float] = []
        self.retries: list[str] = []

        self.not_ready: set[str] = set()

    def set_not_ready(self, reason: str, *, is_so: bool) -> None:
        (self.not_ready.add if is_so else self.not_ready.discard)(reason)

    def count(self, handler: str, _: object, outcome: str, __: float) -> None:
        self.runs.append((handler, outcome))

    def count_unhandled(self, event_type: str) -> None:
        self.unhandled.append(event_type)

    def count_wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def flush(self) -> None: ...

    def count_retry(self, handler: str) -> None:
        self.retries.append(handler)

    def count_untyped(self, event_type: str) -> None:
        self.untyped.append(event_type)

    def count_skipped(self, handler: str, event_type: str) -> None:
        self.skipped.append((handler, event_type))

    def inc(self) -> None:
        self.discarded += 1


@pytest.fixture
def counts() -> Counts:
    return Counts()


@dataclass
class OneByOne:
    """A worker that takes one claim at a time, in the thread of the test."""

    claims: SingleClaims
    executor: JobExecutor
    metrics: Any
    missing_key: MissingKey
    context: TestContext

    def turn(self) -> None:
        if self.missing_key.is_paused():
            return
        claim = self.claims.claim()
        if claim is not None:
            completion = self.executor.execute(claim, self.context)
            if completion is None:  # its handler is `async`
                completion = self.context.ended.get(timeout=60)()
            is_acknowledged = self.claims.acknowledge(completion.ack)
            log_completion(completion, self.metrics, is_acknowledged=is_acknowledged)


RunWorker = Callable[..., OneByOne]


@pytest.fixture
def run_worker(claims_of: Callable[..., SingleClaims], counts: Counts) -> Iterator[RunWorker]:
    """Let a worker run `turns` claims of a queue, one after the other, with the handlers declared so far."""
    runner, here = Runner(30), TestContext()
    watchdog = Watchdog([here.timeout], lambda _: None, lambda: None)
    watchdog.start()

    def run_worker(
        turns: int = 1, queue: str = EVENTS_QUEUE, cipher: BodyCipher | None = None, asked: Sequence[str] = ()
    ) -> OneByOne:
        metrics: Any = counts
        claims = claims_of(f"w-{queue}", queue)
        missing_key = MissingKey(cipher or BodyCipher(), claims.key_needed, metrics)
        registry = Registry(registry_module.declared)
        types = transactional_types(asked)
        executor = JobExecutor(registry, runner, metrics, queue=queue, missing_key=missing_key, types=types)
        worker = OneByOne(claims, executor, metrics, missing_key, here)
        for _ in range(turns):
            worker.turn()
        return worker

    yield run_worker
    runner.close()
    watchdog.stop()
    watchdog.join()


@pytest.fixture
def look(store: redis.Redis) -> Callable[[], list[str]]:
    """Sweep now, as the first process whose turn it is."""
    sweep = Sweep(store, KEYS, Registry(()), handler_timeout=30)

    def look() -> list[str]:
        store.delete(KEYS.sweep_lock)
        return sweep.run()

    return look


@pytest.fixture
def make_due(store: redis.Redis, claims_of: Callable[..., SingleClaims]) -> Callable[..., int]:
    """Make everything scheduled due, and move it."""

    def make_due(queue: str = EVENTS_QUEUE) -> int:
        for job_id in texts(store.zrange(f"rq:scheduled:{queue}", 0, -1)):
            store.zadd(f"rq:scheduled:{queue}", {job_id: 0})
        return claims_of(queue=queue).promote_due()

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


Open = Callable[..., WorkerHarness]


@pytest.fixture
def open_worker_harness(store: redis.Redis, claims_of: Any, counts: Counts, tmp_path: Path) -> Iterator[Open]:
    harnesses: list[WorkerHarness] = []

    def open_worker_harness(
        threads: int = 8, name: str = "worker_harness", cipher: BodyCipher | None = None
    ) -> WorkerHarness:
        harnesses.append(WorkerHarness(store, claims_of(name), counts, tmp_path, threads, name, cipher))
        return harnesses[-1]

    yield open_worker_harness
    for worker_harness in harnesses:
        if worker_harness.fetcher.is_alive():
            worker_harness.close()
