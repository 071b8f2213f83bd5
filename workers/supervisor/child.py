"""One worker process as its supervisor sees it: starts it, watches it, gives back its claims when it has died."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from surehook.shared.child_processes import ask_to_stop, start_child
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.restart_policy import RestartPolicy
from surehook.shared.settings import Settings
from surehook.shared.working_folder import WorkingFolder
from surehook.workers import guard
from surehook.workers.announcement import ALL_QUEUES, ANNOUNCEMENT_SUFFIX, ITS_QUEUE
from surehook.workers.execution.timeouts import STUCK_SECONDS
from surehook.workers.handlers.registry import Registry
from surehook.workers.metrics import FOLDER_VARIABLE
from surehook.workers.queue.claims import Claims, ClaimState
from surehook.workers.queue.completion import log_completion
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import OVERRUN_SECONDS
from surehook.workers.rq_worker import RQWorkers, worker_names
from surehook.workers.slots import STACKS_SUFFIX, STALL_SECONDS, Slots, Stage
from surehook.workers.supervisor.interruption import INTERRUPTED, claims_held_by, handler_of, interrupt
from surehook.workers.supervisor.overruns import MinutesOnly, settle, stack_of, stacks
from surehook.workers.supervisor.plan import Plan
from surehook.workers.transactional.interruption import end_run

log = logging.getLogger(__name__)

# A stalled process without a started handler is killed after this time: there is no timeout to wait for.
STALLED_IDLE_SECONDS = 30.0
STACKS_SECONDS = 0.3
KILLED_SECONDS = guard.CLEANING_SECONDS + 5
LATE_SECONDS = 5.0  # beyond the grace period


@dataclass(frozen=True, slots=True)
class PendingRestart:
    """A process to be started at `due_at`, on time.monotonic()."""

    queue: str
    restarts: RestartPolicy
    due_at: float


@dataclass(slots=True)
class Child:
    """A process, and the restart policy of the place it fills. `process` is its guard, which ends when it ends."""

    queue: str
    name: str
    threads: int
    process: "subprocess.Popen[bytes]"
    slots: Slots
    restarts: RestartPolicy
    plan: Plan
    started_at: float = field(default_factory=time.monotonic)
    culprits: dict[str, str] | None = None
    """The claims for which it was killed, with their handlers' stacks. None: any run may have caused its death."""
    stacks_file: Path | None = None
    announcement: Path | None = None
    timed_out: list[str] = field(default_factory=list)
    """The handlers of the runs that were settled as timeouts."""
    is_stopping: bool = False
    stop_by: float = float("inf")

    @classmethod
    def start(
        cls,
        queue: str,
        threads: int,
        plan: Plan,
        folder: WorkingFolder,
        restarts: RestartPolicy,
        *,
        is_only_queue: bool = False,
    ) -> "Child":
        """Starts a process. If the plan's handlers are not known yet, this one announces them."""
        grace_seconds = plan.settings.grace
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        path = folder.path / f"{name}.slots"
        slots = Slots.create(path, Prefetch(threads).slots)
        command = [sys.executable, "-P", "-m", "surehook.workers.process", "--queue", queue, "--name", name]
        options = ["--threads", str(threads), "--slots", str(path), "--grace", str(grace_seconds)]
        if not plan.is_known:
            options += ["--announce", ITS_QUEUE if is_only_queue else ALL_QUEUES]
        process = start_child(
            ["-IS", guard.__file__, str(grace_seconds), str(folder.lock), *command, *options],
            environ={FOLDER_VARIABLE: str(folder.path)},
            pass_fds=(folder.lock,),
        )
        child = cls(queue, name, threads, process, slots, restarts, plan)
        child.stacks_file, child.announcement = path.with_suffix(STACKS_SUFFIX), path.with_suffix(ANNOUNCEMENT_SUFFIX)
        return child

    def read_plan(self) -> Plan:
        """Its plan, with the handlers if it has announced them. Before that, it takes no events."""
        if self.announcement is not None:
            self.plan = self.plan.announced(self.announcement)
        return self.plan

    @property
    def pids(self) -> list[int]:
        """Its guard and itself, as far as they are known. The thread of the metrics may be late for `forget`."""
        with contextlib.suppress(ValueError):  # the slots are closed
            return [pid for pid in (self.process.pid, self.slots.pid) if pid]
        return []

    @property
    def is_stalled(self) -> bool:
        """True while a handler holds Python's lock, so that the process cannot renew its leases."""
        last_heartbeat_at = self.slots.last_heartbeat_at
        return last_heartbeat_at > 0 and time.monotonic() - last_heartbeat_at > STALL_SECONDS

    def kill_if_overdue(self) -> bool:
        """Kill it if a handler does not stop at its timeout, or if it is stalled. It writes its stacks first."""
        now = time.monotonic()
        overdue = self.slots.overdue(now)
        if overdue:  # include the runs that were told to stop and have not stopped yet
            overdue = self.slots.overdue(now + OVERRUN_SECONDS - STUCK_SECONDS)
        has_started = any(slot.stage is Stage.STARTED for slot in self.slots.occupied())
        is_hung = not has_started and self.is_stalled and now - self.slots.last_heartbeat_at > STALLED_IDLE_SECONDS
        if not overdue and not is_hung:
            return False
        message = "worker process killed, handler does not stop" if overdue else "worker process killed, it is stalled"
        log.error(message, extra={"queue": self.queue, "count": len(overdue)})
        self.process.send_signal(guard.SHOW_STACKS_SIGNAL)
        time.sleep(STACKS_SECONDS)
        self.kill()
        found = stacks(self.stacks_file) if self.stacks_file else {}
        self.culprits = {slot.key: stack_of(slot.thread, found) for slot in overdue}
        return True

    def kill_if_late(self) -> bool:
        """Kill it if it was retired and its grace period is over."""
        if time.monotonic() < self.stop_by:
            return False
        log.warning("worker process killed after the grace period", extra={"queue": self.queue})
        self.kill()
        return True

    @property
    def is_to_blame(self) -> bool:
        """False if a run that it leaves was interrupted by its stop, not by the run itself."""
        return not self.is_stopping or self.culprits is not None

    def retire(self) -> None:
        """Ask it to stop, because another process has its place."""
        self.request_stop()
        self.stop_by = time.monotonic() + self.plan.settings.grace + LATE_SECONDS

    def request_stop(self) -> None:
        self.is_stopping = True
        ask_to_stop(self.process)
        self.process.terminate()  # a module of the user's may wait for it

    def kill(self) -> None:
        """Kill it and everything it has started."""
        self.process.send_signal(guard.KILL_SIGNAL)
        try:
            self.process.wait(KILLED_SECONDS)
        except subprocess.TimeoutExpired:  # the guard is suspended
            self.process.kill()
            self.process.wait()

    @property
    def has_ended_cleanly(self) -> bool:
        """True if it ended in order, without claims and without a reply of the store on its way."""
        return self.process.poll() == 0 and not self.slots.occupied() and not self.slots.is_exchange_pending

    def give_back(self, store: redis.Redis, settings: Settings, registry: Registry, *, counts: bool) -> int:
        """Give back its claims: runs that had started count as interrupted, the others do not. Returns their number."""
        give_back = self._end_transactions if self.queue == TRANSACTIONAL_QUEUE else self._give_back_jobs
        interrupted = give_back(store, settings, registry, counts=counts)
        names = worker_names(self.name, self.threads)
        limited = registry.limited(self.queue)
        RQWorkers(store, Keys(settings.key_prefix), self.queue, names, limited=limited).remove()
        return interrupted

    def _give_back_jobs(self, store: redis.Redis, settings: Settings, registry: Registry, *, counts: bool) -> int:
        keys = Keys(settings.key_prefix)
        every = self.claims(store, settings, registry)
        started = {slot.key for slot in self.slots.occupied() if slot.stage is not Stage.RESERVED}
        interrupted = 0
        for claims, key in claims_held_by(self.name, every):
            if (
                counts
                and self.culprits
                and key in self.culprits
                and self._settle(claims, store, settings, registry, key)
            ):
                continue
            is_blamed = counts and (self.culprits is None or key in self.culprits)
            state = ClaimState.STARTED if key in started else ClaimState.RESERVED
            outcome = interrupt(claims, registry, store, keys, key, state=state, counts=is_blamed)
            interrupted += outcome in INTERRUPTED
        return interrupted

    def _settle(self, claims: Claims, store: redis.Redis, settings: Settings, registry: Registry, key: str) -> bool:
        """Settle a run for which the process was killed as a timeout. False: its handler is not known."""
        keys = Keys(settings.key_prefix)
        handler = handler_of(registry, store, keys, key)
        if handler is None:
            return False
        timeout = handler.timeout_seconds or settings.handler_timeout
        completion = settle(claims, store, keys, self.name, key, handler, (self.culprits or {})[key], timeout)
        if completion is not None:
            metrics: Any = MinutesOnly()
            log_completion(completion, metrics, is_acknowledged=True)
            self.timed_out.append(handler.name)
            metrics.write(store, keys)
        return True

    def _end_transactions(self, store: redis.Redis, settings: Settings, registry: Registry, *, counts: bool) -> int:  # noqa: ARG002 - no run is repeated
        names = worker_names(self.name, self.threads)
        return sum(
            end_run(
                store,
                Keys(settings.key_prefix),
                registry,
                names[slot.index],
                self.name,
                slot.key,
                has_started=slot.stage is not Stage.RESERVED,
                handler_timeout=settings.handler_timeout,
            )
            for slot in self.slots.occupied()
        )

    def claims(self, store: redis.Redis, settings: Settings, registry: Registry) -> list[Claims]:
        """Its claims on its queue, and on each handler's own queue that it serves."""
        queues = (self.queue, *registry.limited(self.queue))
        limited = registry.limited(self.queue)
        return [Claims.of(store, settings, queue, self.name, limited.get(queue)) for queue in queues]

    def forget(self, folder: Path) -> None:
        self.slots.close()
        for suffix in (".slots", STACKS_SUFFIX, ANNOUNCEMENT_SUFFIX):
            (folder / f"{self.name}{suffix}").unlink(missing_ok=True)
