"""The fetcher and handler threads of one worker process, inside the test's process."""

from collections.abc import Sequence
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
from surehook.workers.queue.threads import HandlerThread, JobWorker
from surehook.workers.slots import Slots


class WorkerHarness:
    """A worker process without processes: `close` waits until every claimed job is acknowledged."""

    def __init__(
        self,
        store: redis.Redis,
        claims: Claims,
        counts: Any,
        folder: Path,
        threads: int,
        name: str,
        cipher: BodyCipher | None = None,
        limited: Sequence[Claims] = (),
    ) -> None:
        prefetch = Prefetch(threads)
        self.slots = Slots.create(folder / f"{name}.slots", prefetch.slots)
        connection = Connection(store)
        self.wake_ups = 0
        missing_key = MissingKey(cipher or BodyCipher(), claims.key_needed, counts)
        self.fetcher = Fetcher(
            claims, connection, self.slots, prefetch, counts, self._count, missing_key.is_paused, limited
        )
        registry = Registry(registry_module.declared)
        self.runner = Runner(30)
        executor = JobExecutor(
            registry, self.runner, counts, queue="events", missing_key=missing_key, types=TransactionalTypes()
        )
        handoff, inbox = self.fetcher.handoff, self.fetcher.inbox
        self.workers = [
            JobWorker(f"{name}.{number}", handoff, inbox, executor, self.slots) for number in range(threads)
        ]
        self.threads = [HandlerThread(f"handler-{number}", handoff, inbox) for number in range(threads)]
        for worker in self.workers:
            handoff.release(worker)

    def _count(self) -> None:
        self.wake_ups += 1

    def start(self) -> "WorkerHarness":
        for thread in (*self.threads, self.fetcher):
            thread.start()
        return self

    def close(self) -> None:
        if not self.fetcher.is_alive():
            return
        self.fetcher.stop()
        wait_until(lambda: not self.fetcher.is_alive(), "the fetcher has stopped")
        self.fetcher.handoff.put(None)
        for thread in self.threads:
            thread.join()
