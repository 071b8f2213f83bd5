"""The threads in which handlers run. They take claims from the conveyor and put back what became of them."""

import logging
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import NamedTuple

from surehook.workers.claim import Claim
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.queue import acks
from surehook.workers.queue.claims import LEASE_MARGIN_SECONDS, LEASE_SECONDS
from surehook.workers.queue.executor import Completion, JobExecutor
from surehook.workers.queue.handoff import Handoff, locked_lock
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# Past its timeout by this much, a handler that does not stop costs its process.
OVERRUN_SECONDS = 5.0
PARENT_RENEWS_EVERY_SECONDS = 3.0
FOREVER = float("inf")


@dataclass(slots=True, eq=False)
class JobInProgress:
    """A claim in this process. First the conveyor writes to it, then a handler thread, then the conveyor again."""

    claim: Claim
    slot: int
    came_at: float
    ours_until: float
    """Not started after that: the lease may be over."""
    thread: str = ""
    began_at: float = FOREVER
    is_handed_over: bool = False
    is_shown: bool = False
    """RQ's tools see it run."""
    is_told: bool = False
    """And in which thread."""
    has_ended: bool = False
    is_lost: bool = False
    is_disowned: bool = False
    """The handler was told that it is no longer ours."""

    def lose(self) -> None:
        """The lease was taken over: the handler is told if it asks, and its result will not count."""
        if not self.is_lost and not self.has_ended:
            log.warning("lease lost", extra={"event_id": self.claim.event_id, "queue": self.claim.queue})
        self.is_lost = True


class Finished(NamedTuple):
    """A claim that a thread is through with."""

    held: JobInProgress
    settled: Completion


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread met an error of ours. The process cannot be trusted any more."""

    error: BaseException


class HandlerThread(threading.Thread):
    """One RQ worker, one claim at a time."""

    def __init__(
        self,
        name: str,
        waiting: Handoff[JobInProgress | None],
        inbox: "SimpleQueue[object]",
        handling: JobExecutor,
        slots: Slots,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.alarm = Timeout()
        self._waiting = waiting
        self._inbox = inbox
        self._handling = handling
        self._slots = slots
        self._held: JobInProgress | None = None

    def run(self) -> None:
        bell = locked_lock()
        while (held := self._waiting.get(bell)) is not None:
            try:
                settled = self._work(held, time.monotonic())
            except BaseException as exc:
                log.exception("thread broke", extra={"queue": held.claim.queue})
                self._inbox.put(Broken(exc))
                return
            self._slots.ran(held.slot)
            held.has_ended = True
            self._inbox.put(Finished(held, settled))
            self._held = held = settled = None  # type: ignore[assignment] # or an idle thread keeps the last event alive

    def begin(self, due_at: float) -> None:
        """The handler starts now. What the parent reads is written before what the conveyor reads."""
        held = self._held
        assert held is not None  # noqa: S101 - called from within a run
        self._slots.start(held.slot, due_at + OVERRUN_SECONDS)
        held.began_at = time.monotonic()

    def is_ours(self) -> bool:
        """False once another has taken it over, or may have, as no renewal has come through for a whole lease."""
        held = self._held
        if held is None:
            return False
        if held.is_lost or self._may_have_lapsed(held, time.monotonic()):
            held.is_disowned = True
        return not held.is_disowned

    def _may_have_lapsed(self, held: JobInProgress, now: float) -> bool:
        # Of a process that stands still the parent renews the leases, which nobody in here sees.
        renewed_by_parent = self._slots.last_still(now) - PARENT_RENEWS_EVERY_SECONDS
        return now >= max(held.ours_until + LEASE_MARGIN_SECONDS, renewed_by_parent + LEASE_SECONDS)

    def _work(self, held: JobInProgress, now: float) -> Completion:
        if now >= held.ours_until or held.is_lost:
            return Completion(acks.give_back(held.claim))
        self._held = held
        held.thread = self.name
        settled = self._handling.handle(held.claim, self)
        if not held.is_disowned:
            return settled
        # Told to stop, it may have stopped half-way: if nobody has taken it after all, it runs again.
        return Completion(acks.give_back(held.claim), lambda _: settled.conclude(False))
