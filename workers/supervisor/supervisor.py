"""The parent of the worker processes: starts them, replaces those that die, stops them all in order."""

import logging
import signal
import tempfile
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from surehook.shared.keys import Keys
from surehook.shared.metrics_server import serve_metrics
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.store_metrics import StoreGauges
from surehook.workers.handlers.registry import Registry
from surehook.workers.metrics import why_not_ready
from surehook.workers.process import EX_MISCONFIGURED
from surehook.workers.queue.claims import Claims
from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.multiprocess_metrics import MetricFiles
from surehook.workers.supervisor.recovery import Recovery
from surehook.workers.supervisor.store_health import StoreHealth
from surehook.workers.supervisor.vacancy import PendingRestart, vacancy

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
STORE_TIMEOUT_SECONDS = 1.0
RECOVERY_TIMEOUT_SECONDS = 4.0
RENEW_EVERY_SECONDS = 3.0
MISCONFIGURED = 2
FIRST_SIGNAL = 1  # a second one ends the grace period


class Supervisor:
    """`processes` on each queue, each with so many threads."""

    def __init__(self, settings: Settings, registry: Registry, queues: list[str], processes: int, threads: int) -> None:
        self._settings = settings
        self._registry = registry
        self._queues = queues
        self._processes = processes
        self._threads = threads
        self._children: list[Child] = []
        self._leaving: list[Child] = []
        self._owed: list[Child] = []  # gone, while the store could not be told what they held
        self._vacancies: list[PendingRestart] = []
        self._signals = 0
        self._next_renewal = self._next_payment = 0.0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status."""
        with tempfile.TemporaryDirectory(prefix="surehook-workers-") as folder:
            self._folder = Path(folder)
            series = CollectorRegistry()
            self._metric_files = MetricFiles(folder)
            series.register(self._metric_files)
            series.register(StoreGauges(self._settings))
            self._deaths = Counter("surehook_worker_process_deaths", "Processes replaced", registry=series)
            recovery = self._recovery(Counter("surehook_interrupted_runs", "Runs whose process died", registry=series))
            serve_metrics(self._settings.worker_metrics_bind, series, lambda: why_not_ready(folder))
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            for queue in self._queues:
                for _ in range(self._processes):
                    self._children.append(self._start(queue))
            recovery.start()
            try:
                return self._watch()
            finally:
                self._stop_children()
                recovery.stop()

    def _on_signal(self, *_: object) -> None:
        self._signals += 1  # a plain number: an Event's lock may be held by the very code this interrupts

    def _start(self, queue: str, quick_deaths: int = 0) -> Child:
        return Child.start(queue, self._threads, self._settings.grace, self._folder, quick_deaths)

    def _recovery(self, interrupted: Counter) -> Recovery:
        store, keys = connect(self._settings, timeout_seconds=RECOVERY_TIMEOUT_SECONDS), Keys(self._settings.key_prefix)
        claims = [
            Claims(
                store,
                keys,
                queue,
                "recovery",
                retention_seconds=self._settings.retention,
                handler_timeout=self._settings.handler_timeout,
            )
            for queue in self._queues
        ]
        return Recovery(store, keys, claims, self._registry, interrupted, StoreHealth())

    def _watch(self) -> int:
        while not self._signals:
            time.sleep(POLL_SECONDS)
            for child in self._children[:]:
                if child.process.poll() == EX_MISCONFIGURED:
                    return MISCONFIGURED  # it said why; another one would say the same
                if child.process.poll() is None and child.slots.is_leaving:
                    self._children.remove(child)
                    self._leaving.append(child)
                    self._children.append(self._start(child.queue))
                elif self._has_died(child):
                    self._children.remove(child)
                    self._vacancies.append(_place_of(child))
            self._fill_vacancies()
            self._leaving = [child for child in self._leaving if not self._has_died(child)]
            self._renew_for_those_that_cannot()
            self._pay_what_is_owed()
        return 0

    def _has_died(self, child: Child) -> bool:
        """Whether it is gone; what it held is given back then."""
        if child.process.poll() is None and not child.kill_if_overdue():
            return False
        if not child.left_nothing:
            log.error("worker process died", extra={"queue": child.queue, "status": child.process.returncode})
            self._deaths.inc()
            if not self._give_back([child], counts=True):
                self._owed.append(child)
                return True
        self._forget(child)
        return True

    def _pay_what_is_owed(self) -> None:
        """Nobody else knows what of it had begun: to those who see its leases lapse, a quick run never began."""
        if not self._owed or time.monotonic() < self._next_payment:
            return
        if self._give_back(self._owed, counts=True):
            for child in self._owed:
                self._forget(child)
            self._owed = []
        self._next_payment = time.monotonic() + RENEW_EVERY_SECONDS

    def _fill_vacancies(self) -> None:
        """Those whose time has come; none of the others is waited for, or nobody would look after the living."""
        now = time.monotonic()
        for each in self._vacancies[:]:
            if each.fill_at <= now:
                self._vacancies.remove(each)
                self._children.append(self._start(each.queue, each.quick_deaths))

    def _renew_for_those_that_cannot(self) -> None:
        """A handler that holds Python's lock stops its process's own upkeep; it is no death before its timeout."""
        still = [child for child in (*self._children, *self._leaving) if child.is_still]
        if not still or time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + RENEW_EVERY_SECONDS
        try:
            with connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                for child in still:
                    child.claims(store, self._settings).renew([])
        except (RedisError, OSError) as exc:
            log.warning("store is away, leases are not renewed", extra={"error_type": type(exc).__name__})

    def _stop_children(self) -> None:
        """Ask, wait for the grace period or a second signal, then kill. What one held is given back when it is gone."""
        log.info("worker is stopping, what runs may finish", extra={"grace_seconds": self._settings.grace})
        self._children, self._leaving = [*self._children, *self._leaving], []
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + self._settings.grace
        kept_back: list[Child] = []
        while self._children and time.monotonic() < deadline and self._signals <= FIRST_SIGNAL:
            self._renew_for_those_that_cannot()
            time.sleep(POLL_SECONDS)
            ended = self._take_those_that_ended()
            if not self._give_back(ended, counts=False):
                kept_back += ended
        for child in self._children:
            log.warning("worker process killed after the grace period", extra={"queue": child.queue})
            child.kill()
        self._give_back(self._owed, counts=True)
        self._give_back(kept_back + self._take_those_that_ended(), counts=False)

    def _take_those_that_ended(self) -> list[Child]:
        """Off the list of children; returns those that left something."""
        ended = [child for child in self._children if child.process.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        return [child for child in ended if not child.left_nothing]

    def _give_back(self, children: list[Child], *, counts: bool) -> bool:
        """What dead processes held runs again at once. False: the store is away, and others do it as leases lapse."""
        if not children:
            return True
        try:
            with connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                for child in children:
                    child.give_back(store, self._settings, self._registry, counts=counts)
        except (RedisError, OSError) as exc:
            if children is not self._owed:
                log.warning("store is away, leases will lapse", extra={"error_type": type(exc).__name__})
            return False
        return True

    def _forget(self, child: Child) -> None:
        child.forget(self._folder)
        self._metric_files.forget(child.process.pid)


def _place_of(dead: Child) -> PendingRestart:
    now = time.monotonic()
    return vacancy(
        dead.queue,
        quick_deaths=dead.quick_deaths,
        lived_seconds=now - dead.began,
        status=dead.process.returncode,
        now=now,
    )
