"""What a worker process of the queue `transactional` is made of: threads that wait for events, a heart, a watchdog."""

import time

from surehook.shared.encryption import BodyCipher
from surehook.shared.heartbeat import WORKER, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.transactional_events import transactional_types
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Watchdog
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.recycling import Recycling
from surehook.workers.maintenance.transactional_heartbeat import TransactionalHeartbeat
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue.claims import Claims
from surehook.workers.rq_worker import RQWorkers, thread_names, unregister
from surehook.workers.slots import Slots
from surehook.workers.transactional.executor import TransactionalExecutor
from surehook.workers.transactional.fetching import SlotContext, StoreOutage, TransactionThread
from surehook.workers.transactional.protocol import TransactionProtocol

# Longer than a thread's blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 2.5
# One on which it waits, and now and then one for a single call; redis-py allows 100 in all where nothing is said.
CONNECTIONS_OF_A_THREAD = 2
OTHER_CONNECTIONS = 10


class TransactionalLauncher:
    """So many threads, each of which runs the handlers of one transaction at a time."""

    queue = TRANSACTIONAL_QUEUE

    def __init__(self, settings: Settings, registry: Registry, slots: Slots, process: str, threads: int) -> None:
        self._settings = settings
        most_connections = CONNECTIONS_OF_A_THREAD * threads + OTHER_CONNECTIONS
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS, most_connections=most_connections)
        self._names = thread_names(process, threads)
        self._rq_workers = RQWorkers(self._store, self.queue, self._names)
        self._runner = Runner(settings.handler_timeout)
        keys, metrics, away = Keys(settings.key_prefix), WorkerMetrics(), StoreOutage()
        vault = BodyCipher(settings.encryption_keys)
        lacking = MissingKey(vault, self._claims(keys, process).key_needed, metrics)
        self._threads = []
        for number, name in enumerate(self._names):
            seat = SlotContext(slots, number)
            voting = TransactionalExecutor(
                TransactionProtocol(self._store, keys, name, process),
                registry,
                self._runner,
                metrics,
                seat,
                handler_timeout=settings.handler_timeout,
                vault=vault,
                lacking=lacking,
            )
            self._threads.append(TransactionThread(name, voting, seat, away))
        self._recycling = Recycling(
            slots, self.queue, jobs=settings.recycle_jobs, mib=settings.recycle_mib, ended=self._ended, stop=self._rest
        )
        self._watchdog = Watchdog(
            [each.seat.timeout for each in self._threads], self._recycling.tick, self._recycling.leave
        )
        pulse = HeartbeatMessage(WORKER, process, transactional_types(settings.transactional_events), self.queue)
        self._heart = TransactionalHeartbeat(
            self._store,
            keys,
            self._rq_workers,
            TransactionProtocol(self._store, keys, process, process),
            registry,
            pulse,
            lacking,
            handler_timeout=settings.handler_timeout,
        )

    def start(self, stops: list[int]) -> bool:
        """Register and take up work. False: told to stop before the store could be reached."""
        self._watchdog.start()
        if not self._rq_workers.register_when_available(stops):
            return False
        # Now, and not with the watchdog's first look: the first handler may be one that lets nothing else run.
        self._recycling.tick(time.monotonic())
        for thread in (*self._threads, self._heart):
            thread.start()
        return True

    def is_running(self) -> bool:
        """One that broke ends all: the others finish what they run, and the parent starts a fresh process."""
        if self.has_broken():
            self._rest()
        return any(each.is_alive() for each in self._threads)

    def has_broken(self) -> bool:
        return any(each.error is not None for each in self._threads)

    def has_jobs(self) -> bool:
        """A thread that waits may be given an event at any moment, until it ends."""
        return any(each.is_alive() for each in self._threads)

    def stop(self) -> None:
        """Take no more, finish what runs. Who asks now is told at once that nobody is there."""
        self._rest()
        self._heart.leave()

    def _rest(self) -> None:
        """Take no more, but attend: a fresh process is on its way, and may be in time for who asks now."""
        for thread in self._threads:
            thread.stop()

    def close(self) -> None:
        self._heart.stop()
        self._watchdog.stop()
        self._runner.close()
        unregister(self._settings, self.queue, self._names)

    def _ended(self) -> int:
        return sum(each.ended for each in self._threads)

    def _claims(self, keys: Keys, process: str) -> Claims:
        return Claims(
            self._store,
            keys,
            self.queue,
            process,
            retention_seconds=self._settings.retention,
            handler_timeout=self._settings.handler_timeout,
        )
