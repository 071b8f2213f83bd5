"""Replaces the worker processes of a supervisor one by one, with new code and settings (SIGHUP).

1. The settings are read, and a process with them imports the new handler modules. If they have a mistake, nothing
   changes.
2. When the new process takes events, the one that it replaces stops: it claims nothing more, and its running handlers
   may finish. Then the next one's turn comes, so there are never fewer processes than before.
3. If a new process does not take events, the remaining old ones stay.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED
from surehook.shared.keys import EVENTS_QUEUE
from surehook.shared.settings import load_settings
from surehook.workers.supervisor.child import Child, PendingRestart
from surehook.workers.supervisor.plan import Plan, report

log = logging.getLogger(__name__)

LOADING_SECONDS = 60.0  # handler modules may import a whole framework
SERVING_SECONDS = 30.0
MISTAKE = "the configuration or a handler module has a mistake; the line before says which. The old processes stay"
DIES = "a new process ended before it took events. The old processes stay"
IDLE = "a new process takes no events. The old processes stay"


@dataclass(slots=True)
class Place:
    """A process to be replaced; None on a queue that is new."""

    queue: str
    old: Child | None


class Rollout:
    """One replacement of all processes; `step` is called until `is_over`."""

    def __init__(
        self,
        children: list[Child],
        pending_restarts: list[PendingRestart],
        processes: int,
        start: Callable[[str, Plan], Child],
    ) -> None:
        self._children = children
        self._pending_restarts = pending_restarts
        self._processes = processes
        self._start = start
        self._places: list[Place] = []
        self.successor: Child | None = None
        """The process that has been started and does not take events yet."""
        self._deadline = 0.0
        self.plan: Plan | None = None
        self.retired: list[Child] = []
        """Processes that have been asked to stop. The supervisor takes them over."""
        self.is_over = False

    def begin(self, queue: str | None, overrides: Mapping[str, Any]) -> None:
        log.info("worker process replacement started", extra={"count": len(self._children)})
        try:
            settings = load_settings(**overrides)
        except Misconfigured as exc:
            report(exc)
            self._fail(MISTAKE)
            return
        self.successor = self._start(queue or EVENTS_QUEUE, Plan(settings))
        self._deadline = time.monotonic() + LOADING_SECONDS

    def step(self) -> None:
        if self.successor is not None:
            self._check_successor(self.successor)
        elif self._places:
            self._start_successor()
        else:
            self._complete()

    def is_replacing(self, child: Child) -> bool:
        """True if a process in the place of this one is starting already."""
        return self.successor is not None and bool(self._places) and self._places[0].old is child

    def cancel(self) -> None:
        """Ends what has only begun, because the supervisor stops."""
        self.is_over = True
        if self.successor is not None:
            self._drop(self.successor)
            self.successor = None

    def _check_successor(self, successor: Child) -> None:
        if self.plan is None and successor.read_plan().is_known:
            self._use(successor.plan, successor.queue)
        if self.plan is not None and successor.slots.takes_events:
            self._give_place(successor)
            return
        status = successor.process.poll()
        if status is not None or time.monotonic() > self._deadline:
            self.successor = None
            self._drop(successor)
            self._fail(IDLE if status is None else MISTAKE if status == CHILD_MISCONFIGURED else DIES)

    def _use(self, plan: Plan, first_queue: str) -> None:
        """Lay down which processes are replaced, in which order. The first successor runs already."""
        self.plan = plan
        self._deadline = time.monotonic() + SERVING_SECONDS
        self._places = [Place(child.queue, child) for child in self._children if child.queue in plan.queues]
        for queue in plan.queues:
            present = sum(place.queue == queue for place in self._places)
            self._places += [Place(queue, None)] * (self._processes - present)
        self._pending_restarts.clear()  # the new processes take their places
        self._places.sort(key=lambda place: place.queue != first_queue)

    def _give_place(self, successor: Child) -> None:
        old = self._places.pop(0).old
        self.successor = None
        self._children.append(successor)
        if old is not None and old in self._children:
            self._children.remove(old)
            self._retire(old)

    def _start_successor(self) -> None:
        place = self._places[0]
        if place.old is not None and place.old not in self._children:
            self._places.pop(0)  # it has ended, and another one has started with the new code
        elif self.plan is not None:
            self.successor = self._start(place.queue, self.plan)
            self._deadline = time.monotonic() + SERVING_SECONDS

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
