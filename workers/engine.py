"""What a worker process is made of, put together: conveyor, handler threads, watchdog, waiter, upkeep."""

import logging
import resource
import time
from pathlib import Path

from redis.exceptions import RedisError

from shared.keys import Keys
from shared.settings import Settings
from shared.store import connect
from shared.vault import Vault
from workers.appetite import Appetite
from workers.claims import Claims
from workers.conveyor import Conveyor
from workers.dispatch import Dispatcher
from workers.handling import Handling
from workers.lacking import LackingKey
from workers.line import Line
from workers.metrics import WorkerMetrics
from workers.registry import Registry
from workers.slots import Slots
from workers.steadiness import Steadiness
from workers.sweep import Sweep, Sweeper
from workers.threads import HandlerThread
from workers.timeouts import Watchdog
from workers.upkeep import Upkeep
from workers.waiter import Waiter
from workers.worker import Crew, names_of_threads

log = logging.getLogger(__name__)

# Longer than the waiter's blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 4.0
CONNECT_AGAIN_SECONDS = 0.2
LAST_WORDS_SECONDS = 1.0
MEBIBYTE = 1024 * 1024


class Engine:
    """One queue, so many threads."""

    def __init__(
        self, settings: Settings, registry: Registry, slots: Slots, queue: str, process: str, threads: int
    ) -> None:
        self.queue = queue
        self._settings = settings
        self._slots = slots
        self._store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
        self._names = names_of_threads(process, threads)
        self._crew = Crew(self._store, queue, self._names)
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
        self._dispatcher = Dispatcher(settings.handler_timeout)
        vault = Vault(settings.encryption_keys)
        lacking = LackingKey(vault, claims.key_needed, metrics)
        handling = Handling(registry, self._dispatcher, metrics, queue=queue, vault=vault, lacking=lacking)
        self._waiter = Waiter(self._store, queue)
        line = Line(self._store, claims.trip_script())
        self._conveyor = Conveyor(claims, line, slots, Appetite(threads), self._waiter.ask, lacking.holds)
        self._waiter.when_found = self._conveyor.look
        self._threads = [
            HandlerThread(name, self._conveyor.waiting, self._conveyor.inbox, handling, slots) for name in self._names
        ]
        self._watchdog = Watchdog([each.alarm for each in self._threads], self._on_tick, self._leave)
        self._upkeep = Upkeep(
            self._store, keys, self._crew, self._conveyor, claims, registry, metrics, queue, Steadiness()
        )
        self._sweeper = Sweeper(
            Sweep(self._store, keys, registry.queues, handler_timeout=settings.handler_timeout), metrics
        )
        self._is_leaving = False

    def start(self, stops: list[int]) -> bool:
        """Register and take up work. False: told to stop before the store could be reached."""
        self._watchdog.start()
        if not self._register(stops):
            return False
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
        try:
            with connect(self._settings, timeout_seconds=LAST_WORDS_SECONDS) as store:
                Crew(store, self.queue, self._names).unregister()
        except (RedisError, OSError) as exc:
            # RQ forgets the workers by itself when their keys expire.
            log.warning("store is away at the end", extra={"error_type": type(exc).__name__})

    def _register(self, stops: list[int]) -> bool:
        failures = 0
        while not stops:
            try:
                self._crew.register()
            except (RedisError, OSError) as exc:
                if not failures:
                    facts = {"queue": self.queue, "error_type": type(exc).__name__}
                    log.warning("store is away, waiting", extra=facts)
                failures += 1
                time.sleep(CONNECT_AGAIN_SECONDS)
            else:
                return True
        return False

    def _on_tick(self, now: float) -> None:
        self._slots.beat(now)
        jobs, mib = self._settings.recycle_jobs, self._settings.recycle_mib
        if (jobs and self._conveyor.ended >= jobs) or (mib and _resident_bytes() > mib * MEBIBYTE):
            self._leave()

    def _leave(self) -> None:
        """Make room for a fresh process: take no more, finish what runs, end. The parent starts the other at once."""
        if self._is_leaving:
            return
        self._is_leaving = True
        log.info(
            "worker process makes room for a fresh one", extra={"queue": self.queue, "count": self._conveyor.ended}
        )
        self._slots.leave()
        self._conveyor.stop()


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # its peak, in bytes on macOS: better than no bound
