"""The parent of the worker processes: starts them, replaces dead ones, stops them all in order."""

import logging
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from surehook.shared.exit_status import CHILD_INCOMPATIBLE, CHILD_MISCONFIGURED, MISCONFIGURED
from surehook.shared.keys import Keys
from surehook.shared.metrics_server import serve_metrics
from surehook.shared.multiprocess_metrics import MetricFiles
from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.store_format import StoreFormat
from surehook.shared.store_metrics import StoreGauges
from surehook.shared.working_folder import working_folder
from surehook.workers import guard
from surehook.workers.handlers.registry import Registry
from surehook.workers.metrics import why_not_ready
from surehook.workers.queue.claims import Claims
from surehook.workers.store_report import StoreReport
from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.recovery import Recovery
from surehook.workers.supervisor.store_health import StoreHealth

log = logging.getLogger(__name__)

RENEWAL, GIVING_BACK = "renewal for stalled processes", "giving back claims"
POLL_SECONDS = 0.1
STORE_TIMEOUT_SECONDS = 1.0
RECOVERY_TIMEOUT_SECONDS = 4.0
RENEW_EVERY_SECONDS = 3.0
FIRST_SIGNAL = 1  # a second one ends the grace period


@dataclass(frozen=True, slots=True)
class PendingRestart:
    """A process to be started at `due_at`, on time.monotonic()."""

    queue: str
    restarts: RestartPolicy
    due_at: float


class Supervisor:
    """Keeps `processes` processes running on each queue, each with `threads` handler threads."""

    def __init__(self, settings: Settings, registry: Registry, queues: list[str], processes: int, threads: int) -> None:
        self._settings = settings
        self._registry = registry
        self._queues = queues
        self._processes = processes
        self._threads = threads
        self._children: list[Child] = []
        self._leaving: list[Child] = []
        self._unreported: list[Child] = []  # dead, and their claims not given back yet: the store is unavailable
        self._pending_restarts: list[PendingRestart] = []
        self._report = StoreReport()
        self._signals = 0
        self._has_served = False
        self._next_renewal = self._next_give_back = 0.0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status. Raises IncompatibleStore for a store it cannot read."""
        with suppress(RedisError, OSError), connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
            StoreFormat().check(store, Keys(self._settings.key_prefix))
        guard.adopt_orphans()  # a killed guard leaves some
        self._others = guard.children()  # started by a user's module
        with working_folder("surehook-workers-") as self._folder:
            series = CollectorRegistry()
            self._metric_files = MetricFiles(self._folder.path)
            series.register(self._metric_files)
            series.register(StoreGauges(self._settings))
            self._deaths = Counter("surehook_worker_process_deaths", "Processes that died", registry=series)
            self._interrupted = Counter("surehook_interrupted_runs", "Runs whose process died", registry=series)
            words = (
                "surehook_killed_runs",
                "Runs that did not stop at their timeout, so that their process was killed",
            )
            self._killed = Counter(*words, ["handler"], registry=series)
            recovery = self._recovery(self._interrupted)
            serve_metrics(
                self._settings.worker_metrics_bind,
                series,
                self._why_not_ready,
                variable="SUREHOOK_WORKER_METRICS_BIND",
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            for queue in self._queues:
                for _ in range(self._processes):
                    self._start(queue, RestartPolicy())
            recovery.start()
            try:
                return self._supervise()
            finally:
                self._stop_children()
                recovery.stop()

    def _why_not_ready(self) -> list[str]:
        return sorted({*why_not_ready(self._metric_files), *self._report.reasons()})

    def _on_signal(self, *_: object) -> None:
        self._signals += 1  # a plain number: a signal handler must not take a lock

    def _start(self, queue: str, restarts: RestartPolicy) -> None:
        child = Child.start(queue, self._threads, self._settings.grace, self._folder, restarts)
        self._children.append(child)

    def _recovery(self, interrupted: Counter) -> Recovery:
        health, keys = StoreHealth(), Keys(self._settings.key_prefix)
        store = connect(self._settings, timeout_seconds=RECOVERY_TIMEOUT_SECONDS, on_connect=health.distrust)

        def claims_on(queue: str) -> Claims:
            return Claims.of(store, self._settings, queue, "recovery")

        recovery = Recovery(store, keys, claims_on, self._queues, self._registry, interrupted, health)
        recovery.report = self._report
        return recovery

    def _supervise(self) -> int:
        while not self._signals:
            time.sleep(POLL_SECONDS)
            self._has_served = self._has_served or any(child.slots.last_heartbeat_at for child in self._children)
            for child in self._children[:]:
                # Once one has served, a mistake may be a rotation in progress: the others work on, and it starts again.
                status = child.process.poll()
                if status == CHILD_INCOMPATIBLE or (status == CHILD_MISCONFIGURED and not self._has_served):
                    return MISCONFIGURED
                if child.process.poll() is None and child.slots.is_leaving:
                    self._children.remove(child)
                    self._leaving.append(child)
                    self._start(child.queue, RestartPolicy())
                elif self._reap(child):
                    self._children.remove(child)
                    self._schedule_restart(child)
            self._start_due()
            self._leaving = [child for child in self._leaving if not self._reap(child)]
            self._renew_for_stalled()
            self._give_back_unreported()
        return 0

    def _reap(self, child: Child) -> bool:
        """Give back the claims of a process that has died or must be killed. Returns whether it has ended."""
        if child.process.poll() is None and not child.kill_if_overdue():
            return False
        if not child.has_ended_cleanly:
            if child.culprits is None:  # else it was killed, and that has been said
                log.error("worker process died", extra={"queue": child.queue, "status": child.process.returncode})
            self._deaths.inc()
            guard.kill_descendants({*self._others, *(each.process.pid for each in (*self._children, *self._leaving))})
            if not self._give_back([child], counts=True):
                self._unreported.append(child)
                return True
        self._forget(child)
        return True

    def _schedule_restart(self, dead: Child) -> None:
        now = time.monotonic()
        pause = dead.restarts.pause_before_restart(now - dead.started_at, is_failure=dead.process.returncode != 0)
        self._pending_restarts.append(PendingRestart(dead.queue, dead.restarts, now + pause))

    def _start_due(self) -> None:
        """Start the processes whose pause is over; a pause must not keep the supervisor from the running ones."""
        now = time.monotonic()
        for restart in self._pending_restarts[:]:
            if restart.due_at <= now:
                self._pending_restarts.remove(restart)
                self._start(restart.queue, restart.restarts)

    def _give_back_unreported(self) -> None:
        """Try again until the store is back: only this process knows which runs had started."""
        if not self._unreported or time.monotonic() < self._next_give_back:
            return
        if self._give_back(self._unreported, counts=True):
            for child in self._unreported:
                self._forget(child)
            self._unreported = []
        self._next_give_back = time.monotonic() + RENEW_EVERY_SECONDS

    def _renew_for_stalled(self) -> None:
        """Renew the leases of stalled processes: a handler may hold Python's lock until its timeout."""
        stalled = [child for child in (*self._children, *self._leaving) if child.is_stalled]
        if not stalled or time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + RENEW_EVERY_SECONDS
        try:
            with connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                for child in stalled:
                    for claims in child.claims(store, self._settings, self._registry):
                        claims.renew([])
        except (RedisError, OSError) as exc:
            self._report.failed(RENEWAL, exc)
        else:
            self._report.succeeded(RENEWAL)

    def _stop_children(self) -> None:
        """Ask them to stop, kill them after the grace period or a second signal, and give back the remaining claims."""
        log.info("worker is stopping, running handlers may finish", extra={"grace_seconds": self._settings.grace})
        self._children, self._leaving = [*self._children, *self._leaving], []
        for child in self._children:
            child.request_stop()
        deadline = time.monotonic() + self._settings.grace
        not_given_back: list[Child] = []
        while self._children and time.monotonic() < deadline and self._signals <= FIRST_SIGNAL:
            self._renew_for_stalled()
            time.sleep(POLL_SECONDS)
            ended = self._remove_ended()
            if not self._give_back(ended, counts=False):
                not_given_back += ended
        for child in self._children:
            log.warning("worker process killed after the grace period", extra={"queue": child.queue})
            child.kill()
        self._give_back(self._unreported, counts=True)
        self._give_back(not_given_back + self._remove_ended(), counts=False)

    def _remove_ended(self) -> list[Child]:
        """Remove ended processes from the list of children. Returns those that left claims."""
        ended = [child for child in self._children if child.process.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        return [child for child in ended if not child.has_ended_cleanly]

    def _give_back(self, children: list[Child], *, counts: bool) -> bool:
        """Give back the claims of dead processes. False if the store is unavailable."""
        if not children:
            return True
        try:
            with connect(self._settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
                for child in children:
                    self._interrupted.inc(child.give_back(store, self._settings, self._registry, counts=counts))
                    for handler in child.timed_out:
                        self._killed.labels(handler).inc()
        except (RedisError, OSError) as exc:
            self._report.failed(GIVING_BACK, exc)
            if children is not self._unreported:
                log.warning("claims not given back", extra={"error_type": type(exc).__name__})
            return False
        self._report.succeeded(GIVING_BACK)
        return True

    def _forget(self, child: Child) -> None:
        self._metric_files.forget(child.slots.pid)
        child.forget(self._folder.path)
