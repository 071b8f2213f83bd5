"""What a worker process is made of, put together: conveyor, handler threads, watchdog, waiter, upkeep."""

import time

from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.transactional_events import transactional_types
from surehook.workers.connection import Connection
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.heartbeat import Heartbeat
from surehook.workers.maintenance.recycling import Recycling
from surehook.workers.maintenance.sweeper import Sweep, Sweeper
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.executor import JobExecutor
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.notifier import Notifier
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import HandlerThread
from surehook.workers.rq_worker import RQWorkers, names_of_threads, unregister
from surehook.workers.slots import Slots

# Longer than the waiter's blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 4.0


class Launcher:
    """One queue, so many threads."""

    def __init__(
        self, settings: Settings, registry: Registry, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        self.queue = queue
        self._settings = settings
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        self._names = names_of_threads(process, threads)
        self._crew = RQWorkers(self._store, queue, self._names)
        keys = Keys(settings.key_prefix)
        claims = Claims(
            self._store,
            keys,
            queue,
            process,
            retention_seconds=settings.retention,
            handler_timeout=settings.handler_timeout,
        )
        metrics = WorkerMetrics()
        self._dispatcher = Runner(settings.handler_timeout)
        vault = BodyCipher(settings.encryption_keys)
        lacking = MissingKey(vault, claims.key_needed, metrics)
        handling = JobExecutor(
            registry,
            self._dispatcher,
            metrics,
            queue=queue,
            vault=vault,
            lacking=lacking,
            types=transactional_types(settings.transactional_events),
        )
        self._waiter = Notifier(self._store, queue)
        line = Connection(self._store, claims.trip_script())
        self._conveyor = Fetcher(claims, line, slots, Prefetch(threads), self._waiter.ask, lacking.holds)
        self._waiter.when_found = self._conveyor.look
        self._threads = [
            HandlerThread(name, self._conveyor.waiting, self._conveyor.inbox, handling, slots) for name in self._names
        ]
        self._recycling = Recycling(
            slots,
            queue,
            jobs=settings.recycle_jobs,
            mib=settings.recycle_mib,
            ended=lambda: self._conveyor.ended,
            stop=self._conveyor.stop,
        )
        self._watchdog = Watchdog([each.alarm for each in self._threads], self._recycling.tick, self._recycling.leave)
        self._upkeep = Heartbeat(self._crew, self._conveyor, claims, queue)
        self._sweeper = Sweeper(
            Sweep(self._store, keys, registry.queues, handler_timeout=settings.handler_timeout), metrics
        )

    def start(self, stops: list[int]) -> bool:
        """Register and take up work. False: told to stop before the store could be reached."""
        self._watchdog.start()
        if not self._crew.register_when_there(stops):
            return False
        # Now, and not with the watchdog's first look: the first handler may be one that lets nothing else run.
        self._recycling.tick(time.monotonic())
        for thread in (*self._threads, self._waiter, self._upkeep, self._sweeper, self._conveyor):
            thread.start()
        return True

    def is_running(self) -> bool:
        return self._conveyor.is_alive()

    def has_broken(self) -> bool:
        return self._conveyor.error is not None

    def holds_anything(self) -> bool:
        return bool(self._conveyor.held())

    def stop(self) -> None:
        """Take no more, finish what runs."""
        self._conveyor.stop()

    def close(self) -> None:
        self._upkeep.stop()
        self._sweeper.stop()
        self._watchdog.stop()
        self._dispatcher.close()
        unregister(self._settings, self.queue, self._names)
