"""The parent of the worker processes: starts them, replaces dead ones, and all on SIGHUP, stops them all in order."""

import logging
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from surehook.shared.exit_status import CHILD_INCOMPATIBLE, CHILD_MISCONFIGURED, MISCONFIGURED
from surehook.shared.keys import Keys
from surehook.shared.log import set_up_logging
from surehook.shared.metrics_server import READY_PATH, readiness, serve_metrics
from surehook.shared.multiprocess_metrics import MetricFiles
from surehook.shared.process_metrics import ProcessMetrics
from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.service_manager import ServiceManager
from surehook.shared.store import connect
from surehook.shared.store_format import StoreFormat
from surehook.shared.store_metrics import StoreGauges
from surehook.shared.working_folder import working_folder
from surehook.workers import guard
from surehook.workers.metrics import why_not_ready
from surehook.workers.store_report import StoreReport
from surehook.workers.supervisor.child import Child, PendingRestart
from surehook.workers.supervisor.own_claims import STORE_TIMEOUT_SECONDS, OwnClaims
from surehook.workers.supervisor.plan import Plan
from surehook.workers.supervisor.recovery import recovery_of
from surehook.workers.supervisor.rollout import Rollout

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
FIRST_SIGNAL = 1  # a second one ends the grace period


class Supervisor:
    """Keeps `processes` processes running on each queue, each with `threads` handler threads."""

    def __init__(
        self,
        plan: Plan,
        processes: int,
        threads: int,
        *,
        queue: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            plan: what to run, until the first reload.
            processes: worker processes for each queue.
            threads: handler threads in each process.
            queue: the only queue to serve, also after a reload.
            overrides: settings given at the command line, which a reload keeps.
        """
        self._plan = plan
        self._processes = processes
        self._threads = threads
        self._queue = queue
        self._overrides = overrides or {}
        self._children: list[Child] = []
        self._leaving: list[Child] = []
        self._pending_restarts: list[PendingRestart] = []
        self._report = StoreReport()
        self._rollout: Rollout | None = None
        self._signals = self._reloads = 0
        self._has_served = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status. Raises IncompatibleStore for a store it cannot read."""
        settings, self._service = self._plan.settings, ServiceManager()
        with suppress(RedisError, OSError), connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
            StoreFormat().check(store, Keys(settings.key_prefix))
        guard.adopt_orphans()  # a killed guard leaves some
        self._others = guard.children()  # started by a user's module
        with working_folder("surehook-workers-") as self._folder:
            series = CollectorRegistry()
            self._metric_files = MetricFiles(self._folder.path)
            series.register(self._metric_files)
            self._series, self._store_gauges = series, StoreGauges(settings)
            series.register(self._store_gauges)
            series.register(ProcessMetrics(lambda: [child.process.pid for child in (*self._children, *self._leaving)]))
            self._deaths = Counter("surehook_worker_process_deaths", "Processes that died", registry=series)
            self._interrupted = Counter("surehook_interrupted_runs", "Runs whose process died", registry=series)
            words = (
                "surehook_killed_runs",
                "Runs that did not stop at their timeout, so that their process was killed",
            )
            killed = Counter(*words, ["handler"], registry=series)
            self._claims = OwnClaims(self._report, self._interrupted, killed, self._forget)
            self._recovery = recovery_of(self._plan, self._interrupted, self._report)
            serve_metrics(
                settings.worker_metrics_bind,
                series,
                {READY_PATH: readiness(self._why_not_ready)},
                variable="SUREHOOK_WORKER_METRICS_BIND",
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            signal.signal(signal.SIGHUP, self._on_reload)
            for queue in self._plan.queues:
                for _ in range(self._processes):
                    self._children.append(self._start(queue, self._plan, RestartPolicy()))
            self._recovery.start()
            try:
                return self._supervise()
            finally:
                self._stop_children()
                self._recovery.stop()

    def _why_not_ready(self) -> list[str]:
        return sorted({*why_not_ready(self._metric_files), *self._report.reasons()})

    def _on_signal(self, *_: object) -> None:
        self._signals += 1  # a plain number: a signal handler must not take a lock

    def _on_reload(self, *_: object) -> None:
        self._reloads += 1

    def _start(self, queue: str, plan: Plan, restarts: RestartPolicy | None = None) -> Child:
        return Child.start(queue, self._threads, plan, self._folder, restarts or RestartPolicy())

    def _supervise(self) -> int:
        self._service.ready()  # also while the store is away: the processes wait for it
        while not self._signals:
            time.sleep(POLL_SECONDS)
            self._service.alive()
            self._has_served = self._has_served or any(child.slots.last_heartbeat_at for child in self._children)
            for child in self._children[:]:
                # Once one has served, a mistake may be a rotation in progress: the others work on, and it starts again.
                status = child.process.poll()
                if status == CHILD_INCOMPATIBLE or (status == CHILD_MISCONFIGURED and not self._has_served):
                    return MISCONFIGURED
                if child.process.poll() is None and child.slots.is_leaving:
                    self._children.remove(child)
                    self._leaving.append(child)
                    if not self._is_being_replaced(child):
                        self._children.append(self._start(child.queue, self._plan))
                elif self._reap(child):
                    self._children.remove(child)
                    if not self._is_being_replaced(child):
                        self._schedule_restart(child)
            self._start_due()
            self._replace_all()
            self._leaving = [child for child in self._leaving if not self._reap(child)]
            self._claims.renew_for_stalled([*self._children, *self._leaving])
            self._claims.give_back_unreported()
        return 0

    def _is_being_replaced(self, child: Child) -> bool:
        return self._rollout is not None and self._rollout.is_replacing(child)

    def _replace_all(self) -> None:
        """Continue a replacement, or begin one after SIGHUP; it never keeps the supervisor from the running ones."""
        if self._rollout is None:
            if self._reloads:
                self._reloads = 0
                self._rollout = Rollout(self._children, self._processes, self._start)
                self._rollout.begin(self._folder, self._queue, self._overrides)
            return
        rollout = self._rollout
        if not rollout.is_over:
            rollout.step()
        self._leaving += rollout.retired
        rollout.retired = []
        if rollout.is_over:
            self._rollout = None
            for child in rollout.unreplaced:
                self._schedule_restart(child)
            if rollout.plan is not None:
                self._adopt(rollout.plan)

    def _adopt(self, plan: Plan) -> None:
        """Use the new plan here, too: for restarts, for the recovery of other machines' claims, for metrics."""
        self._plan = plan
        set_up_logging(plan.settings.log_level, plan.settings.log_format)
        self._recovery.stop()
        self._recovery = recovery_of(self._plan, self._interrupted, self._report)
        self._recovery.start()
        self._series.unregister(self._store_gauges)
        self._store_gauges = StoreGauges(plan.settings)
        self._series.register(self._store_gauges)

    def _reap(self, child: Child) -> bool:
        """Give back the claims of a process that has died or must be killed. Returns whether it has ended."""
        if child.process.poll() is None and not child.kill_if_overdue() and not child.kill_if_late():
            return False
        if not child.has_ended_cleanly:
            if child.is_to_blame:
                if child.culprits is None:  # else it was killed, and that has been said
                    log.error("worker process died", extra={"queue": child.queue, "status": child.process.returncode})
                self._deaths.inc()
            guard.kill_descendants({*self._others, *(each.process.pid for each in (*self._children, *self._leaving))})
            if not self._claims.give_back([child]):
                self._claims.unreported.append(child)
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
                self._children.append(self._start(restart.queue, self._plan, restart.restarts))

    def _stop_children(self) -> None:
        """Ask them to stop, kill them after the grace period or a second signal, and give back the remaining claims."""
        self._service.stopping()
        grace = self._plan.settings.grace
        log.info("worker is stopping, running handlers may finish", extra={"grace_seconds": grace})
        if self._rollout is not None:
            self._rollout.cancel()
            self._leaving += self._rollout.retired
        self._children, self._leaving = [*self._children, *self._leaving], []
        for child in self._children:
            child.request_stop()
        deadline = time.monotonic() + grace
        not_given_back: list[Child] = []
        while self._children and time.monotonic() < deadline and self._signals <= FIRST_SIGNAL:
            self._claims.renew_for_stalled(self._children)
            time.sleep(POLL_SECONDS)
            ended = self._remove_ended()
            if not self._claims.give_back(ended):
                not_given_back += ended
        for child in self._children:
            log.warning("worker process killed after the grace period", extra={"queue": child.queue})
            child.kill()
        self._claims.give_back(self._claims.unreported)
        self._claims.give_back(not_given_back + self._remove_ended())

    def _remove_ended(self) -> list[Child]:
        """Remove ended processes from the list of children. Returns those that left claims."""
        ended = [child for child in self._children if child.process.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        return [child for child in ended if not child.has_ended_cleanly]

    def _forget(self, child: Child) -> None:
        self._metric_files.forget(child.slots.pid)
        child.forget(self._folder.path)
