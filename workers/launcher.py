"""Assembles a worker process: its threads, and the watchdog, heartbeat and recycling around them."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

import redis

from surehook.shared.encryption import BodyCipher
from surehook.shared.heartbeat import WORKER, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.transactional_events import transactional_types
from surehook.workers.background import PeriodicThread
from surehook.workers.connection import Connection
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Timeout, Watchdog
from surehook.workers.format_guard import FormatGuard
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.heartbeat import Heartbeat
from surehook.workers.maintenance.recycling import Recycling
from surehook.workers.maintenance.sweeper import Sweep, Sweeper
from surehook.workers.maintenance.transactional_heartbeat import TransactionalHeartbeat
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.executor import JobExecutor
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.notifier import Notifier
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import HandlerThread
from surehook.workers.rq_worker import RQWorkers, thread_names, unregister
from surehook.workers.slots import Slots
from surehook.workers.store_report import StoreReport
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.fetching import SlotContext, TransactionThread
from surehook.workers.transactional.protocol import TransactionProtocol

# Longer than a thread's blocking wait, short enough to notice a silent store.
STORE_TIMEOUT_SECONDS = 4.0
TRANSACTIONAL_STORE_TIMEOUT_SECONDS = 2.5
# One on which a thread waits, and now and then one for a single call; redis-py's default is 100 in all.
CONNECTIONS_OF_A_THREAD = 2
OTHER_CONNECTIONS = 10


class Launcher(ABC):
    """The parts that every worker process has. A subclass adds the threads of its kind of queue."""

    def __init__(
        self, settings: Settings, store: redis.Redis, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        self.queue, self._settings = queue, settings
        self._store, self._keys = store, Keys(settings.key_prefix)
        self._names = thread_names(process, threads)
        self.guard = FormatGuard(store, self._keys)
        self._rq_workers = RQWorkers(store, self._keys, queue, self._names, self.guard.check)
        self._claims = Claims(
            store,
            self._keys,
            queue,
            process,
            retention_seconds=settings.retention,
            handler_timeout=settings.handler_timeout,
        )
        self._metrics = WorkerMetrics()
        self._report = StoreReport(self._metrics.set_not_ready)
        self._runner = Runner(settings.handler_timeout)
        self._missing_key = MissingKey(BodyCipher(settings.encryption_keys), self._claims.key_needed, self._metrics)
        self._types = transactional_types(settings.transactional_events)
        limits = {"jobs": settings.recycle_jobs, "mib": settings.recycle_mib}
        self._recycling = Recycling(slots, queue, **limits, finished=self._finished, stop=self._stop_claiming)
        self._recycling.has_left_work = self._runner.has_left_work

    def start(self, stops: list[int]) -> bool:
        """Registers the process and starts its threads. False: told to stop before the store could be reached."""
        self._runner.own_threads = frozenset(self._all_threads())
        self._watchdog = Watchdog(self._timeouts(), self._recycling.tick, self._recycling.leave)
        self._watchdog.start()
        if not self._rq_workers.register_when_available(stops, self._report):
            return False
        # Not left to the watchdog's first tick: the first handler may be one that lets no other thread run.
        self._recycling.tick(time.monotonic())
        for thread in self._all_threads():
            if isinstance(thread, PeriodicThread | Notifier):
                thread.report = self._report
            thread.start()
        return True

    @abstractmethod
    def is_running(self) -> bool: ...

    @abstractmethod
    def has_broken(self) -> bool: ...

    @abstractmethod
    def has_jobs(self) -> bool: ...

    @abstractmethod
    def stop(self) -> None:
        """Claims nothing more; jobs in progress finish."""

    def close(self) -> None:
        self._watchdog.stop()
        self._runner.close()
        unregister(self._settings, self.queue, self._names)

    @abstractmethod
    def _all_threads(self) -> Iterable[threading.Thread]: ...

    @abstractmethod
    def _timeouts(self) -> Iterable[Timeout]: ...

    @abstractmethod
    def _finished(self) -> int:
        """How many jobs have finished, for recycling."""

    @abstractmethod
    def _stop_claiming(self) -> None:
        """Called for recycling, when a new process is about to replace this one."""


class QueueLauncher(Launcher):
    """A process for ordinary events: one fetcher feeds all handler threads."""

    def __init__(
        self, settings: Settings, registry: Registry, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        super().__init__(settings, store, slots, queue, process, threads)
        executor = JobExecutor(
            registry, self._runner, self._metrics, queue=queue, missing_key=self._missing_key, types=self._types
        )
        self._notifier = Notifier(store, self._keys, queue)
        self._claims.order_types(registry.ordered_types)
        connection, wake_up = Connection(store, self._report, "fetcher"), self._notifier.request
        is_paused = self._missing_key.is_paused
        self._fetcher = Fetcher(self._claims, connection, slots, Prefetch(threads), self._metrics, wake_up, is_paused)
        self._notifier.on_work = self._fetcher.wake_up
        self._threads = [
            HandlerThread(name, self._fetcher.handoff, self._fetcher.inbox, executor, slots) for name in self._names
        ]
        self._heartbeat = Heartbeat(self._rq_workers, self._fetcher, self._claims)
        sweep = Sweep(store, self._keys, registry.queues, handler_timeout=settings.handler_timeout)
        self._sweeper = Sweeper(sweep, self._metrics)

    def is_running(self) -> bool:
        return self._fetcher.is_alive()

    def has_broken(self) -> bool:
        return self._fetcher.error is not None

    def has_jobs(self) -> bool:
        return bool(self._fetcher.jobs())

    def stop(self) -> None:
        self._fetcher.stop()

    def _all_threads(self) -> Iterable[threading.Thread]:
        return (*self._threads, self._notifier, self._heartbeat, self._sweeper, self._fetcher)

    def _timeouts(self) -> Iterable[Timeout]:
        return [each.timeout for each in self._threads]

    def _finished(self) -> int:
        return self._fetcher.finished

    def _stop_claiming(self) -> None:
        self._fetcher.stop()

    def close(self) -> None:
        self._heartbeat.stop()
        self._sweeper.stop()
        super().close()


class TransactionalLauncher(Launcher):
    """A process for transactional events: each thread waits at the queue itself, to lose no time."""

    def __init__(self, settings: Settings, registry: Registry, slots: Slots, process: str, threads: int) -> None:
        most = CONNECTIONS_OF_A_THREAD * threads + OTHER_CONNECTIONS
        store = connect(settings, timeout_seconds=TRANSACTIONAL_STORE_TIMEOUT_SECONDS, most_connections=most)
        super().__init__(settings, store, slots, TRANSACTIONAL_QUEUE, process, threads)
        self._threads = []
        for number, name in enumerate(self._names):
            context = SlotContext(slots, number)
            executor = TransactionalExecutor(
                TransactionProtocol(store, self._keys, name, process),
                registry,
                self._runner,
                self._metrics,
                context,
                handler_timeout=settings.handler_timeout,
                missing_key=self._missing_key,
                report=self._report,
            )
            self._threads.append(TransactionThread(name, executor, context, self._report))
        self._heartbeat = TransactionalHeartbeat(
            store,
            self._keys,
            self._rq_workers,
            TransactionProtocol(store, self._keys, process, process),
            registry,
            HeartbeatMessage(WORKER, process, self._types, self.queue),
            self._missing_key,
            self._claims,
            handler_timeout=settings.handler_timeout,
        )

    def is_running(self) -> bool:
        """A broken thread ends its process: the others finish, and the supervisor starts a new process."""
        if self.has_broken():
            self._stop_claiming()
        return any(each.is_alive() for each in self._threads)

    def has_broken(self) -> bool:
        return any(each.error is not None for each in self._threads)

    def has_jobs(self) -> bool:
        return any(each.is_alive() for each in self._threads)  # a waiting thread may be given an event at any moment

    def stop(self) -> None:
        """Clients that submit now get an immediate 503, as this process is no longer available."""
        self._stop_claiming()
        self._heartbeat.leave()

    def _all_threads(self) -> Iterable[threading.Thread]:
        return (*self._threads, self._heartbeat)

    def _timeouts(self) -> Iterable[Timeout]:
        return [each.context.timeout for each in self._threads]

    def _finished(self) -> int:
        return sum(each.finished for each in self._threads)

    def _stop_claiming(self) -> None:
        """The process stays available: a new one is about to start, and may be in time for clients that submit now."""
        for thread in self._threads:
            thread.stop()

    def close(self) -> None:
        self._heartbeat.stop()
        super().close()
