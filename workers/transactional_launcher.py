"""Assembles a worker process for transactional events."""

import threading
from collections.abc import Iterable

from surehook.shared.heartbeat import WORKER, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.handlers.registry import Registry
from surehook.workers.launcher import Launcher
from surehook.workers.maintenance.minutes import MinuteWriter
from surehook.workers.maintenance.transactional_heartbeat import TransactionalHeartbeat
from surehook.workers.slots import Slots
from surehook.workers.transactional.batch import RunSlot
from surehook.workers.transactional.decider import Decider
from surehook.workers.transactional.exchange import TransactionExchange
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.fetching import HeldUpCheck, SlotContext, TransactionThread
from surehook.workers.transactional.pool import SlotPool
from surehook.workers.transactional.protocol import TransactionProtocol

# Longer than a thread's blocking wait, short enough to notice a silent store.
TRANSACTIONAL_STORE_TIMEOUT_SECONDS = 2.5
# One on which a thread waits, and now and then one for a single call; redis-py's default is 100 in all.
CONNECTIONS_OF_A_THREAD = 2
OTHER_CONNECTIONS = 10


class TransactionalLauncher(Launcher):
    """A process for transactional events. Its threads share one slot for each, and wait at the queue themselves."""

    def __init__(self, settings: Settings, registry: Registry, slots: Slots, process: str, threads: int) -> None:
        most = CONNECTIONS_OF_A_THREAD * threads + OTHER_CONNECTIONS
        store = connect(settings, timeout_seconds=TRANSACTIONAL_STORE_TIMEOUT_SECONDS, most_connections=most)
        super().__init__(settings, store, slots, TRANSACTIONAL_QUEUE, process, threads)
        self._registry, self._process = registry, process
        workers = [TransactionProtocol(store, self._keys, name, process) for name in self._names]
        self._contexts = [SlotContext(slots, number) for number in range(threads)]
        self._pool = SlotPool(map(RunSlot, workers, self._contexts))
        self._held_up_check = HeldUpCheck(self._pool)
        self._threads = [TransactionThread(name, self._executor(), self._pool, self._report) for name in self._names]
        self._minutes = MinuteWriter(
            store, self._keys, registry, self._metrics.minutes, handler_timeout=settings.handler_timeout
        )
        self._heartbeat = TransactionalHeartbeat(
            store,
            self._keys,
            self._rq_workers,
            TransactionProtocol(store, self._keys, process, process),
            registry,
            HeartbeatMessage(WORKER, process, self._types, self.queue),
            self._missing_key,
            self._claims,
            self._index_facts,
            handler_timeout=settings.handler_timeout,
        )

    def _executor(self) -> TransactionalExecutor:
        decider = Decider(
            self._registry,
            self._runner,
            self._metrics,
            handler_timeout=self._settings.handler_timeout,
            missing_key=self._missing_key,
            index_facts=self._index_facts,
        )
        exchange = TransactionExchange(self._store, self._keys, self._process)
        return TransactionalExecutor(self._pool, exchange, decider, missing_key=self._missing_key, report=self._report)

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
        return (*self._threads, self._held_up_check, self._minutes, self._heartbeat, self._retention)

    def _timeouts(self) -> Iterable[Timeout]:
        return [each.timeout for each in self._contexts]

    def _finished(self) -> int:
        return sum(each.finished for each in self._threads)

    def _stop_claiming(self) -> None:
        """The process stays available: a new one is about to start, and may be in time for clients that submit now."""
        for thread in self._threads:
            thread.stop()

    def close(self) -> None:
        self._minutes.stop()
        self._held_up_check.stop()
        self._heartbeat.stop()
        super().close()
