"""Replaces the worker processes of a supervisor one by one, with new code and settings (SIGHUP).

1. The settings and the handler modules are read. If they have a mistake, nothing changes.
2. A process with the new ones starts. When it takes events, the one that it replaces stops: it claims nothing more, and
   its running handlers may finish. Then the next one's turn comes, so there are never fewer processes than before.
3. If a new process does not take events, the remaining old ones stay.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED
from surehook.shared.working_folder import WorkingFolder
from surehook.workers.supervisor.child import Child
from surehook.workers.supervisor.plan import MISTAKE, Plan, Reload, report

log = logging.getLogger(__name__)

SERVING_SECONDS = 30.0
DIES = "a new process ended before it took events. The old processes stay"
IDLE = "a new process takes no events. The old processes stay"


@dataclass(slots=True)
class Place:
    """A process to be replaced; None on a queue that is new."""

    queue: str
    old: Child | None


class Rollout:
    """One replacement of all processes; `step` is called until `is_over`."""

    def __init__(self, children: list[Child], processes: int, start: Callable[[str, Plan], Child]) -> None:
        self._children = children
        self._processes = processes
        self._start = start
        self._reload: Reload | None = None
        self._places: list[Place] = []
        self._successor: Child | None = None
        self._deadline = 0.0
        self.plan: Plan | None = None
        self.retired: list[Child] = []
        """Processes that have been asked to stop. The supervisor takes them over."""
        self.unreplaced: list[Child] = []
        """Processes that have ended by themselves, and whose successors did not start."""
        self.is_over = False

    def begin(self, folder: WorkingFolder, queue: str | None, overrides: Mapping[str, Any]) -> None:
        log.info("worker process replacement started", extra={"count": len(self._children)})
        try:
            self._reload = Reload(folder, queue, overrides)
        except Misconfigured as exc:
            report(exc)
            self._fail(MISTAKE)

    def step(self) -> None:
        if self._reload is not None:
            self._read_plan(self._reload)
        elif self._successor is not None:
            self._check_successor(self._places[0], self._successor)
        elif self._places:
            self._start_successor()
        else:
            self._complete()

    def is_replacing(self, child: Child) -> bool:
        """True if a process in the place of this one is starting already."""
        return self._successor is not None and self._places[0].old is child

    def cancel(self) -> None:
        """Ends what has only begun, because the supervisor stops."""
        self.is_over = True
        if self._reload is not None:
            self._reload.cancel()
        if self._successor is not None:
            self._drop(self._successor)
            self._successor = None

    def _read_plan(self, reload: Reload) -> None:
        try:
            self.plan = reload.result()
        except Misconfigured as exc:
            self._reload = None
            self._fail(str(exc))
            return
        if self.plan is None:
            return
        self._reload = None
        known = {child.queue for child in self._children}
        new = [queue for queue in self.plan.queues if queue not in known]
        self._places = [Place(child.queue, child) for child in self._children if child.queue in self.plan.queues]
        self._places += [Place(queue, None) for queue in new for _ in range(self._processes)]

    def _start_successor(self) -> None:
        place = self._places[0]
        if place.old is not None and place.old not in self._children:
            self._places.pop(0)  # it has ended, and another one has started with the new code
        elif self.plan is not None:
            self._successor = self._start(place.queue, self.plan)
            self._deadline = time.monotonic() + SERVING_SECONDS

    def _check_successor(self, place: Place, successor: Child) -> None:
        if successor.slots.last_heartbeat_at:
            self._places.pop(0)
            self._successor = None
            self._children.append(successor)
            if place.old is not None and place.old in self._children:
                self._children.remove(place.old)
                self._retire(place.old)
            return
        status = successor.process.poll()
        if status is not None or time.monotonic() > self._deadline:
            self._successor = None
            self._drop(successor)
            if place.old is not None and place.old not in self._children:
                self.unreplaced.append(place.old)
            self._fail(IDLE if status is None else MISTAKE if status == CHILD_MISCONFIGURED else DIES)

    def _complete(self) -> None:
        self.is_over = True
        if self.plan is not None:
            for child in [child for child in self._children if child.queue not in self.plan.queues]:
                self._children.remove(child)
                self._retire(child)
            log.info("worker process replacement completed", extra={"count": len(self._children)})

    def _fail(self, reason: str) -> None:
        self.is_over, self.plan = True, None
        log.error("worker process replacement failed", extra={"reason": reason, "count": len(self._children)})

    def _retire(self, child: Child) -> None:
        child.retire()
        self.retired.append(child)

    def _drop(self, successor: Child) -> None:
        """End a process that has taken no events: it needs no grace period."""
        successor.is_stopping = True
        successor.kill()
        self.retired.append(successor)
