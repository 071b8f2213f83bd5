"""One worker process's conveyor and handler threads, inside of the test's process."""

from pathlib import Path
from typing import Any

import redis

from harness.stack import wait_until
from surehook.shared.encryption import BodyCipher
from surehook.shared.transactional_events import TransactionalTypes
from surehook.workers.connection import Connection
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.executor import JobExecutor
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import HandlerThread
from surehook.workers.slots import Slots


class Hall:
    """Closed, it has settled all that it held."""

    def __init__(
        self,
        store: redis.Redis,
        claims: Claims,
        counts: Any,
        folder: Path,
        threads: int,
        name: str,
        vault: BodyCipher | None = None,
    ) -> None:
        self.slots = Slots.create(folder / f"{name}.slots", 64)
        self.line = Connection(store, claims.trip_script())
        self.asked = 0
        vault = vault or BodyCipher()
        lacking = MissingKey(vault, claims.key_needed, counts)
        self.conveyor = Fetcher(claims, self.line, self.slots, Prefetch(threads), self._ask, lacking.holds)
        registry = Registry(registry_module.declared)
        handling = JobExecutor(
            registry, Runner(30), counts, queue="events", vault=vault, lacking=lacking, types=TransactionalTypes()
        )
        self.threads = [
            HandlerThread(f"{name}.{number}", self.conveyor.waiting, self.conveyor.inbox, handling, self.slots)
            for number in range(threads)
        ]

    def _ask(self) -> None:
        self.asked += 1

    def start(self) -> "Hall":
        for thread in (*self.threads, self.conveyor):
            thread.start()
        return self

    def close(self) -> None:
        self.conveyor.stop()
        wait_until(lambda: not self.conveyor.is_alive(), "the conveyor has stopped")
        for _ in self.threads:
            self.conveyor.waiting.put(None)
        for thread in self.threads:
            thread.join()
