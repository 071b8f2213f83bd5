"""The parent of the worker processes: starts them, replaces dead ones, and all on SIGHUP, stops them all in order."""

import logging
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from surehook.shared.exit_status import CHILD_INCOMPATIBLE, CHILD_MISCONFIGURED, MISCONFIGURED
from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.log import set_up_logging
from surehook.shared.metrics_server import READY_PATH, readiness, serve_metrics
from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.service_manager import ReadyPipe, ServiceManager
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.shared.store_format import StoreFormat
from surehook.shared.working_folder import working_folder
from surehook.workers import guard
from surehook.workers.metrics import why_not_ready
from surehook.workers.store_report import StoreReport
from surehook.workers.supervisor.child import Child, PendingRestart
from surehook.workers.supervisor.metrics import SupervisorMetrics
from surehook.workers.supervisor.own_claims import STORE_TIMEOUT_SECONDS, OwnClaims
from surehook.workers.supervisor.plan import Plan
from surehook.workers.supervisor.recovery import Recovery, recovery_of
from surehook.workers.supervisor.rollout import Rollout
from surehook.workers.supervisor.stopping import stop_all

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
STARTING = "starting"
FIRST_SIGNAL = 1  # a second one ends the grace period


class Supervisor:
    """Keeps `processes` processes running on each queue, each with `threads` handler threads."""

    def __init__(
        self,
        settings: Settings,
        processes: int,
        threads: int,
        *,
        queue: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        ready_fd: int | None = None,
    ) -> None:
        """
        Args:
            settings: of the first processes, until the first reload.
            processes: worker processes for each queue.
            threads: handler threads in each process.
            queue: the only queue to serve, also after a reload.
            overrides: settings given at the command line, which a reload keeps.
            ready_fd: a pipe that gets a line when each queue has a process that takes events.
        """
        self._plan = Plan(settings)
        self._processes = processes
        self._threads = threads
        self._queue = queue
        self._overrides = overrides or {}
        self._ready_pipe = ReadyPipe(ready_fd)
        self._children: list[Child] = []
        self._leaving: list[Child] = []
        self._pending_restarts: list[PendingRestart] = []
        self._report = StoreReport()
        self._rollout: Rollout | None = None
        self._recovery: Recovery | None = None
        self._signals = self._reloads = 0
        self._has_served = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until the handler modules turn out to be unusable. Returns the exit status.

        Raises:
            IncompatibleStore: it cannot read the store.
        """
        settings, self._service = self._plan.settings, ServiceManager()
        with suppress(RedisError, OSError), connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
            StoreFormat().check(store, Keys(settings.key_prefix))
        guard.adopt_orphans()  # a killed guard leaves some
        self._others = guard.children()  # children of a program that this one has replaced
        with working_folder("surehook-workers-") as self._folder:
            self._metrics = metrics = SupervisorMetrics(self._folder.path, settings, self._pids)
            self._claims = OwnClaims(self._report, metrics.interrupted, metrics.killed, self._forget)
            serve_metrics(
                settings.worker_metrics_bind,
                metrics.series,
                {READY_PATH: readiness(self._why_not_ready)},
                variable="SUREHOOK_WORKER_METRICS_BIND",
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            signal.signal(signal.SIGHUP, self._on_reload)
            self._children.append(self._start(self._queue or EVENTS_QUEUE, self._plan))
            try:
                return self._supervise()
            finally:
                self._stop_children()
                if self._recovery is not None:
                    self._recovery.stop()

    def _why_not_ready(self) -> list[str]:
        starting = set() if self._plan.is_known else {STARTING}
        return sorted({*starting, *why_not_ready(self._metrics.files), *self._report.reasons()})

    def _pids(self) -> list[int]:
        successors = [self._rollout.successor] if self._rollout and self._rollout.successor else []
        return [pid for child in (*self._children, *self._leaving, *successors) for pid in child.pids]

    def _on_signal(self, *_: object) -> None:
        self._signals += 1  # a plain number: a signal handler must not take a lock

    def _on_reload(self, *_: object) -> None:
        self._reloads += 1

    def _start(self, queue: str, plan: Plan, restarts: RestartPolicy | None = None) -> Child:
        restarts = restarts or RestartPolicy()
        return Child.start(queue, self._threads, plan, self._folder, restarts, is_only_queue=self._queue is not None)

    def _supervise(self) -> int:
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
            if self._plan.is_known:
                self._replace_all()
            else:
                self._start_others()
            if self._plan.is_known and {each.queue for each in self._children if each.slots.takes_events}.issuperset(
                self._plan.queues
            ):
                self._ready_pipe.tell()
            self._leaving = [child for child in self._leaving if not self._reap(child)]
            self._claims.renew_for_stalled([*self._children, *self._leaving])
            self._claims.give_back_unreported()
        return 0

    def _start_others(self) -> None:
        """Start the other processes when the first one has announced the handlers."""
        for child in self._children[:1]:
            if child.read_plan().is_known:
                self._use(child.plan)
                self._start_missing()
                self._service.ready()  # also while the store is away: the processes wait for it

    def _start_missing(self) -> None:
        for queue in self._plan.queues:
            places = [child.queue for child in self._children] + [each.queue for each in self._pending_restarts]
            missing = self._processes - places.count(queue)
            self._children += [self._start(queue, self._plan) for _ in range(missing)]

    def _is_being_replaced(self, child: Child) -> bool:
        return self._rollout is not None and self._rollout.is_replacing(child)

    def _replace_all(self) -> None:
        """Continue a replacement, or begin one after SIGHUP; it never keeps the supervisor from the running ones."""
        if self._rollout is None:
            if self._reloads:
                self._reloads = 0
                self._rollout = Rollout(self._children, self._pending_restarts, self._processes, self._start)
                self._rollout.begin(self._queue, self._overrides)
            return
        rollout = self._rollout
        if not rollout.is_over:
            rollout.step()
        self._leaving += rollout.retired
        rollout.retired = []
        if rollout.is_over:
            self._rollout = None
            if rollout.plan is not None:
                self._adopt(rollout.plan)
            self._start_missing()

    def _adopt(self, plan: Plan) -> None:
        """Use the new plan here, too: for restarts, for the recovery of other machines' claims, for metrics."""
        set_up_logging(plan.settings.log_level, plan.settings.log_format)
        self._use(plan)
        self._metrics.use(plan.settings)

    def _use(self, plan: Plan) -> None:
        self._plan = plan
        if self._recovery is not None:
            self._recovery.stop()
        self._recovery = recovery_of(plan, self._metrics.interrupted, self._report)
        self._recovery.start()

    def _reap(self, child: Child) -> bool:
        """Give back the claims of a process that has died or must be killed. Returns whether it has ended."""
        if child.process.poll() is None and not child.kill_if_overdue() and not child.kill_if_late():
            return False
        if not child.has_ended_cleanly:
            if child.is_to_blame:
                if child.culprits is None:  # else it was killed, and that has been said
                    log.error("worker process died", extra={"queue": child.queue, "status": child.process.returncode})
                self._metrics.deaths.inc()
            guard.kill_descendants({*self._others, *self._pids()})
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
        self._service.stopping()
        if self._rollout is not None:
            self._rollout.cancel()
            self._leaving += self._rollout.retired
        children = [*self._children, *self._leaving]
        stop_all(children, self._claims, self._plan.settings.grace, lambda: self._signals > FIRST_SIGNAL)

    def _forget(self, child: Child) -> None:
        self._metrics.files.forget(child.slots.pid)
        child.forget(self._folder.path)
