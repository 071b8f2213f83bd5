"""What a worker process of the queue `transactional` is made of: threads that wait for events, a heart, a watchdog."""

import time

from shared.alive import WORKER, Pulse
from shared.keys import TRANSACTIONAL_QUEUE, Keys
from shared.settings import Settings
from shared.store import connect
from shared.transactional import transactional_types
from shared.vault import Vault
from workers.claims import Claims
from workers.dispatch import Dispatcher
from workers.heart import Heart
from workers.lacking import LackingKey
from workers.metrics import WorkerMetrics
from workers.recycling import Recycling
from workers.registry import Registry
from workers.slots import Slots
from workers.timeouts import Watchdog
from workers.transactions import Transactions
from workers.voting import Voting
from workers.voting_threads import Away, Seat, VotingThread
from workers.worker import Crew, names_of_threads, unregister

# Longer than a thread's blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 2.5
# One on which it waits, and now and then one for a single call; redis-py allows 100 in all where nothing is said.
CONNECTIONS_OF_A_THREAD = 2
OTHER_CONNECTIONS = 10


class VotingEngine:
    """So many threads, each of which runs the handlers of one transaction at a time."""

    queue = TRANSACTIONAL_QUEUE

    def __init__(self, settings: Settings, registry: Registry, slots: Slots, process: str, threads: int) -> None:
        self._settings = settings
        most_connections = CONNECTIONS_OF_A_THREAD * threads + OTHER_CONNECTIONS
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS, most_connections=most_connections)
        self._names = names_of_threads(process, threads)
        self._crew = Crew(self._store, self.queue, self._names)
        self._dispatcher = Dispatcher(settings.handler_timeout)
        keys, metrics, away = Keys(settings.key_prefix), WorkerMetrics(), Away()
        vault = Vault(settings.encryption_keys)
        lacking = LackingKey(vault, self._claims(keys, process).key_needed, metrics)
        self._threads = []
        for number, name in enumerate(self._names):
            seat = Seat(slots, number)
            voting = Voting(
                Transactions(self._store, keys, name, process),
                registry,
                self._dispatcher,
                metrics,
                seat,
                handler_timeout=settings.handler_timeout,
                vault=vault,
                lacking=lacking,
            )
            self._threads.append(VotingThread(name, voting, seat, away))
        self._recycling = Recycling(
            slots, self.queue, jobs=settings.recycle_jobs, mib=settings.recycle_mib, ended=self._ended, stop=self._rest
        )
        self._watchdog = Watchdog(
            [each.seat.alarm for each in self._threads], self._recycling.tick, self._recycling.leave
        )
        pulse = Pulse(WORKER, process, transactional_types(settings.transactional_events), self.queue)
        self._heart = Heart(
            self._store,
            keys,
            self._crew,
            Transactions(self._store, keys, process, process),
            registry,
            pulse,
            lacking,
            handler_timeout=settings.handler_timeout,
        )

    def start(self, stops: list[int]) -> bool:
        """Register and take up work. False: told to stop before the store could be reached."""
        self._watchdog.start()
        if not self._crew.register_when_there(stops):
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

    def holds_anything(self) -> bool:
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
        self._dispatcher.close()
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
