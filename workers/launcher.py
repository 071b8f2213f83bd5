"""Assembles a worker process: fetcher, handler threads, watchdog, notifier, heartbeat, sweeper."""

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
from surehook.workers.rq_worker import RQWorkers, thread_names, unregister
from surehook.workers.slots import Slots

# Longer than the notifier's blocking wait, short enough to notice a silent store.
STORE_TIMEOUT_SECONDS = 4.0


class Launcher:
    """One queue, and the threads that run its jobs."""

    def __init__(
        self, settings: Settings, registry: Registry, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        self.queue = queue
        self._settings = settings
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        self._names = thread_names(process, threads)
        self._rq_workers = RQWorkers(self._store, queue, self._names)
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
        self._runner = Runner(settings.handler_timeout)
        missing_key = MissingKey(BodyCipher(settings.encryption_keys), claims.key_needed, metrics)
        executor = JobExecutor(
            registry,
            self._runner,
            metrics,
            queue=queue,
            missing_key=missing_key,
            types=transactional_types(settings.transactional_events),
        )
        self._notifier = Notifier(self._store, queue)
        self._fetcher = Fetcher(
            claims,
            Connection(self._store, claims.exchange_script()),
            slots,
            Prefetch(threads),
            metrics,
            self._notifier.request,
            missing_key.is_paused,
        )
        self._notifier.on_work = self._fetcher.wake_up
        self._threads = [
            HandlerThread(name, self._fetcher.handoff, self._fetcher.inbox, executor, slots) for name in self._names
        ]
        self._recycling = Recycling(
            slots,
            queue,
            jobs=settings.recycle_jobs,
            mib=settings.recycle_mib,
            ended=lambda: self._fetcher.finished,
            stop=self._fetcher.stop,
        )
        self._watchdog = Watchdog([each.timeout for each in self._threads], self._recycling.tick, self._recycling.leave)
        self._heartbeat = Heartbeat(self._rq_workers, self._fetcher, claims, queue)
        self._sweeper = Sweeper(
            Sweep(self._store, keys, registry.queues, handler_timeout=settings.handler_timeout), metrics
        )

    def start(self, stops: list[int]) -> bool:
        """Registers the process and starts its threads. False: told to stop before the store could be reached."""
        self._watchdog.start()
        if not self._rq_workers.register_when_available(stops):
            return False
        # Not left to the watchdog's first tick: the first handler may be one that lets no other thread run.
        self._recycling.tick(time.monotonic())
        for thread in (*self._threads, self._notifier, self._heartbeat, self._sweeper, self._fetcher):
            thread.start()
        return True

    def is_running(self) -> bool:
        return self._fetcher.is_alive()

    def has_broken(self) -> bool:
        return self._fetcher.error is not None

    def has_jobs(self) -> bool:
        return bool(self._fetcher.jobs())

    def stop(self) -> None:
        """Claims nothing more; jobs in progress finish."""
        self._fetcher.stop()

    def close(self) -> None:
        self._heartbeat.stop()
        self._sweeper.stop()
        self._watchdog.stop()
        self._runner.close()
        unregister(self._settings, self.queue, self._names)
