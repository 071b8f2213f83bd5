"""One worker process as its parent sees it: started, watched through its slots, and what it held given back."""

import logging
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import redis

from surehook.shared.child_processes import start_child
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.workers.execution.timeouts import STUCK_SECONDS
from surehook.workers.handlers.registry import Registry
from surehook.workers.maintenance.heartbeat import interrupt
from surehook.workers.process import SHOW_STACKS_SIGNAL
from surehook.workers.queue.claims import Claims, ClaimState
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import OVERRUN_SECONDS
from surehook.workers.rq_worker import forget_workers, thread_names
from surehook.workers.slots import Slots, Stage

log = logging.getLogger(__name__)

# A process that has not moved for this long is not able to renew its leases: a handler holds Python's lock.
STALL_SECONDS = 2.0
# With nothing begun there is no handler to wait for.
DEAF_SECONDS = 30.0
STACKS_SECONDS = 0.3


@dataclass(slots=True)
class Child:
    """A process and its place in the pool."""

    queue: str
    name: str
    threads: int
    process: "subprocess.Popen[bytes]"
    slots: Slots
    began: float = field(default_factory=time.monotonic)
    quick_deaths: int = 0
    culprits: tuple[str, ...] | None = None
    """The claims it was killed for; None while nobody knows better than that all that had begun may be to blame."""

    @classmethod
    def start(cls, queue: str, threads: int, grace_seconds: float, folder: Path, quick_deaths: int = 0) -> "Child":
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        path = folder / f"{name}.slots"
        # What runs, what is held ahead, and as much again that has ended and waits for its trip.
        slots = Slots.create(path, 2 * (threads + Prefetch(threads).most_ahead))
        arguments = ["-m", "surehook.workers.process", "--queue", queue, "--name", name, "--threads", str(threads)]
        process = start_child(
            [*arguments, "--slots", str(path), "--grace", str(grace_seconds)],
            environ={"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        )
        return cls(queue, name, threads, process, slots, quick_deaths=quick_deaths)

    @property
    def is_still(self) -> bool:
        """It runs, but nothing in it moves."""
        moved_at = self.slots.beat_at
        return moved_at > 0 and time.monotonic() - moved_at > STALL_SECONDS

    def kill_if_overdue(self) -> bool:
        """End it when a handler did not stop in time, with the place where it hangs on stderr."""
        now = time.monotonic()
        overdue = self.slots.overdue(now)
        if overdue:  # and whoever else has been asked to stop and did not
            overdue = self.slots.overdue(now + OVERRUN_SECONDS - STUCK_SECONDS)
        begun = [slot for slot in self.slots.occupied() if slot.stage is Stage.STARTED]
        is_deaf = not begun and self.is_still and now - self.slots.beat_at > DEAF_SECONDS
        if not overdue and not is_deaf:
            return False
        log.error("handler cannot be stopped, process killed", extra={"queue": self.queue, "count": len(overdue)})
        self.culprits = tuple(slot.key for slot in overdue)
        self.process.send_signal(SHOW_STACKS_SIGNAL)
        time.sleep(STACKS_SECONDS)
        self.kill()
        return True

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def left_nothing(self) -> bool:
        """It ended in order, and no reply to it is under way."""
        return self.process.poll() == 0 and not self.slots.occupied() and not self.slots.is_unsure

    def give_back(self, store: redis.Redis, settings: Settings, registry: Registry, *, counts: bool) -> None:
        """What it held runs again at once: what had begun as interrupted, what had not unharmed."""
        keys = Keys(settings.key_prefix)
        claims = self.claims(store, settings)
        begun = {slot.key for slot in self.slots.occupied() if slot.stage is not Stage.RESERVED}
        for key in claims.claims_of(self.name):
            is_blamed = counts and (self.culprits is None or key in self.culprits)
            state = ClaimState.STARTED if key in begun else ClaimState.RESERVED
            interrupt(claims, registry, store, keys, key, state=state, counts=is_blamed)
        forget_workers(store, thread_names(self.name, self.threads), self.queue)

    def claims(self, store: redis.Redis, settings: Settings) -> Claims:
        return Claims(
            store,
            Keys(settings.key_prefix),
            self.queue,
            self.name,
            retention_seconds=settings.retention,
            handler_timeout=settings.handler_timeout,
        )

    def forget(self, folder: Path) -> None:
        self.slots.close()
        (folder / f"{self.name}.slots").unlink(missing_ok=True)
