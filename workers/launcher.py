"""Assembles a worker process: its threads, and the watchdog, heartbeat and recycling around them."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import redis

from surehook.shared.encryption import BodyCipher
from surehook.shared.index_key import IndexKey
from surehook.shared.keys import Keys
from surehook.shared.limits import Limits
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.transactional_events import transactional_types
from surehook.workers.background import PeriodicThread
from surehook.workers.connection import Connection
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.process_resources import ProcessResources
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Timeout, Watchdog
from surehook.workers.format_guard import FormatGuard
from surehook.workers.handlers.hooks import declared_letter_hooks
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.dead_letter_hooks import LetterHooks
from surehook.workers.maintenance.event_index import IndexKeeper
from surehook.workers.maintenance.heartbeat import Heartbeat
from surehook.workers.maintenance.limited_queues import LimitedQueues
from surehook.workers.maintenance.minutes import MinuteWriter
from surehook.workers.maintenance.recycling import Recycling
from surehook.workers.maintenance.retention import Retention
from surehook.workers.maintenance.sweeper import Sweep, Sweeper
from surehook.workers.maintenance.transactional_heartbeat import TransactionalHeartbeat
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.executor import JobExecutor
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.index_facts import IndexFacts
from surehook.workers.queue.notifier import Notifier
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import HandlerThread, JobWorker
from surehook.workers.rq_worker import RQWorkers, unregister, worker_names
from surehook.workers.slots import Slots
from surehook.workers.store_report import StoreReport

# Longer than a thread's blocking wait, short enough to notice a silent store.
STORE_TIMEOUT_SECONDS = 4.0


class Launcher(ABC):
    """The parts that every worker process has. A subclass adds the threads of its kind of queue."""

    _limited: Mapping[str, Limits] = MappingProxyType({})  # the handlers' own queues that it serves, too

    def __init__(
        self, settings: Settings, store: redis.Redis, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        self.queue, self._settings, self._slots = queue, settings, slots
        self._store, self._keys = store, Keys(settings.key_prefix)
        self._names = worker_names(process, threads)
        self.guard = FormatGuard(store, self._keys)
        self._rq_workers = RQWorkers(store, self._keys, queue, self._names, self.guard.check, self._limited)
        self._claims = Claims.of(store, settings, queue, process)
        self._retention = Retention(store, self._keys, settings)
        self._metrics = WorkerMetrics()
        self._report = StoreReport(self._metrics.set_not_ready)
        self._runner = Runner(settings.handler_timeout)
        self.resources = ProcessResources(self._runner, self._metrics)
        cipher = BodyCipher(settings.encryption_keys)
        self._missing_key = MissingKey(cipher, self._claims.key_needed, self._metrics)
        self._index_facts = IndexFacts(IndexKey(store, self._keys, cipher))
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
            if isinstance(thread, LetterHooks):
                thread.announce()
            if isinstance(thread, PeriodicThread | Notifier):
                thread.report = self._report
            if isinstance(thread, TransactionalHeartbeat):
                thread.try_tick()  # ingest submits only to processes with a heartbeat
            thread.start()
        self._slots.mark_taking_events()
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
        self._retention.stop()
        self._watchdog.stop()  # so that the supervisor kills a process whose resources do not close
        self.resources.close()
        self._runner.close()
        unregister(self._settings, self.queue, self._names, self._limited)

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
        store, self._limited = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS), registry.limited(queue)
        super().__init__(settings, store, slots, queue, process, threads)
        limited = [Claims.of(store, settings, each, process, limits) for each, limits in self._limited.items()]
        executor = JobExecutor(
            registry,
            self._runner,
            self._metrics,
            queue=queue,
            missing_key=self._missing_key,
            types=self._types,
            index_facts=self._index_facts,
        )
        self._notifier = Notifier(store, self._keys, queue)
        self._claims.order_types(registry.ordered_types)
        connection, wake_up = Connection(store, self._report, "fetcher"), self._notifier.request
        is_paused = self._missing_key.is_paused
        self._fetcher = Fetcher(
            self._claims, connection, slots, Prefetch(threads), self._metrics, wake_up, is_paused, limited
        )
        self._notifier.on_work = self._fetcher.wake_up
        handoff, inbox = self._fetcher.handoff, self._fetcher.inbox
        self._workers = [JobWorker(name, handoff, inbox, executor, slots) for name in self._names]
        self._threads = [HandlerThread(f"handler-{number}", handoff, inbox) for number in range(threads)]
        for worker in self._workers:
            handoff.release(worker)
        timeout = settings.handler_timeout
        tend = LimitedQueues(store, self._keys, self._limited, timeout).tend
        self._heartbeat = Heartbeat(self._rq_workers, self._fetcher, self._claims, limited, tend)
        self._minutes = MinuteWriter(
            store, self._keys, registry, self._metrics.minutes, handler_timeout=settings.handler_timeout
        )
        self._letter_hooks = [
            LetterHooks(store, self._keys, declared_letter_hooks, self._runner, self._missing_key)
            for _ in declared_letter_hooks[:1]
        ]
        self._index = IndexKeeper(store, self._keys, settings, self._index_facts)
        self._sweeper = Sweeper(Sweep(store, self._keys, registry, handler_timeout=timeout), self._metrics)

    def is_running(self) -> bool:
        return self._fetcher.is_alive()

    def has_broken(self) -> bool:
        return self._fetcher.error is not None

    def has_jobs(self) -> bool:
        return bool(self._fetcher.jobs())

    def stop(self) -> None:
        self._fetcher.stop()

    def _all_threads(self) -> Iterable[threading.Thread]:
        periodic = (self._heartbeat, self._sweeper, self._minutes, self._retention, self._index)
        return (*self._threads, self._notifier, *periodic, *self._letter_hooks, self._fetcher)

    def _timeouts(self) -> Iterable[Timeout]:
        return [*(each.timeout for each in self._workers), *(each.timeout for each in self._letter_hooks)]

    def _finished(self) -> int:
        return self._fetcher.finished

    def _stop_claiming(self) -> None:
        self._fetcher.stop()

    def close(self) -> None:
        for each in (self._heartbeat, self._sweeper, self._minutes, self._index, *self._letter_hooks):
            each.stop()
        super().close()
