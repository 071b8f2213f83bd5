"""Fetches claims and delivers acknowledgements, many in one exchange with the store.

Handlers go on while an exchange is under way; what ends in the meantime joins the next one. Exchanges are numbered: one
whose reply was lost is repeated and changes nothing the second time."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from surehook.workers.claim import Claim
from surehook.workers.connection import Connection
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims, may_start_until
from surehook.workers.queue.handoff import Handoff
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.quarantine import Quarantine
from surehook.workers.queue.threads import FOREVER, Broken, Finished, JobInProgress
from surehook.workers.slots import Slots

log = logging.getLogger(__name__)

# What no thread has begun by then, another process may.
LONGEST_WAIT_SECONDS = 0.1
# What ends sooner is not worth telling RQ's tools which thread it runs in.
MOMENT_SECONDS = 0.02
LOOK_AGAIN_SECONDS = 1.0
PAUSED_SECONDS = 0.5
LOOK = object()


class Fetcher(threading.Thread):
    """One per worker process; alone knows what the process holds."""

    def __init__(
        self,
        claims: Claims,
        line: Connection,
        slots: Slots,
        appetite: Prefetch,
        ask_for_work: Callable[[], None],
        is_held_back: Callable[[], bool],
    ) -> None:
        super().__init__(name="conveyor", daemon=True)
        self.inbox: SimpleQueue[object] = SimpleQueue()
        self.waiting: Handoff[JobInProgress | None] = Handoff()
        self.error: BaseException | None = None
        self.ended = 0
        self._claims = claims
        self._line = line
        self._slots = slots
        self._appetite = appetite
        self._ask_for_work = ask_for_work
        self._is_held_back = is_held_back
        self._is_stopping = threading.Event()
        self._held: dict[str, JobInProgress] = {}
        self._free_slots = list(range(slots.count))
        self._busy = 0  # of the held: not ended yet
        self._alone = Quarantine()
        self._notes: list[tuple[Ack, JobInProgress, Finished | None]] = []
        self._to_hand_over: list[JobInProgress] = []
        self._to_conclude: list[tuple[Finished, bool]] = []
        self._may_find_more = True
        self._paused_until = 0.0
        self._number = 0

    # What other threads may call.

    def stop(self) -> None:
        """Take no more; end when what runs has ended and is settled."""
        self._is_stopping.set()
        self.inbox.put(LOOK)

    def look(self) -> None:
        """There may be work."""
        self.inbox.put(LOOK)

    def held(self) -> list[JobInProgress]:
        return list(self._held.values())

    def run(self) -> None:
        try:
            while not (self._is_stopping.is_set() and not self._held):
                self.turn()
            self._conclude()
        except BaseException as exc:
            log.exception("conveyor broke")
            self.error = exc

    def turn(self) -> None:
        """Take in what has ended, and make a trip if there is anything to say or to ask for."""
        self._gather()
        now = time.monotonic()
        if self._is_held_back():
            self._paused_until = now + PAUSED_SECONDS
        self._send_back_what_waits(now)
        self._send_back_the_lone_one(now)
        self._tell_what_runs(now)
        if self._has_reason_to_go(now):
            self._trip(now)

    # A turn, in its order.

    def _gather(self) -> None:
        now = time.monotonic()
        patience = 0.0
        if not self._has_reason_to_go(now):
            self._meanwhile()
            patience = self._patience(now)
        try:
            while True:
                item = self.inbox.get(timeout=patience) if patience > 0 else self.inbox.get_nowait()
                patience = 0.0
                self._take_in(item)
        except Empty:
            pass

    def _take_in(self, item: object) -> None:
        if isinstance(item, Broken):
            raise item.error
        if not isinstance(item, Finished):
            self._may_find_more = True
            return
        self._notes.append((item.settled.note, item.held, item))
        self.ended += 1
        self._busy -= 1
        self._alone.left(item.held)

    def _patience(self, now: float) -> float:
        """How long nothing needs to be done unasked."""
        until = now + LOOK_AGAIN_SECONDS
        if self._paused_until > now:
            until = min(until, self._paused_until)
        if self.waiting:
            until = min(until, now + LONGEST_WAIT_SECONDS / 4)
        until = min(until, self._alone.waits_until)
        for held in self._held.values():
            if not held.is_told and not held.has_ended and held.began_at != FOREVER:
                until = min(until, held.began_at + MOMENT_SECONDS)
        return max(until - now, 0.001)

    def _send_back_what_waits(self, now: float) -> None:
        """If one has waited too long, those behind it go as well: they would come back before it otherwise."""
        is_stopping, oldest = self._is_stopping.is_set(), self.waiting.first()
        if not is_stopping and (oldest is None or oldest.came_at > now - LONGEST_WAIT_SECONDS):
            return
        sent_back = [held for held in self.waiting.take_all() if held is not None]
        if is_stopping and (lone := self._alone.goes_back(FOREVER)):
            sent_back.append(lone)
        for held in reversed(sent_back):  # each goes to the front of its queue
            self._send_back(held)

    def _send_back(self, held: JobInProgress) -> None:
        self._notes.append((acks.give_back(held.claim), held, None))
        self._busy -= 1
        self._alone.left(held)

    def _send_back_the_lone_one(self, now: float) -> None:
        if self._busy > 1 and (lone := self._alone.goes_back(now)):
            self._send_back(lone)
            self._paused_until = max(self._paused_until, now + LONGEST_WAIT_SECONDS)  # for who is idle to take it

    def _tell_what_runs(self, now: float) -> None:
        for held in self._held.values():
            if not held.is_told and not held.has_ended and held.began_at + MOMENT_SECONDS <= now:
                held.is_told = held.is_shown = True
                self._notes.append((acks.start(held.claim), held, None))

    def _has_reason_to_go(self, now: float) -> bool:
        return bool(self._notes) or (self._may_find_more and self._wanted(now) > 0)

    def _wanted(self, now: float) -> int:
        if self._is_stopping.is_set() or self._alone.held is not None or now < self._paused_until:
            return 0
        long_running = sum(now - held.began_at > self._appetite.trip_seconds for held in self._held.values())
        return min(self._appetite.wanted(self._busy, long_running), len(self._free_slots))

    # The trip.

    def _trip(self, now: float) -> None:
        wanted = self._wanted(now)
        starting = max(0, min(wanted, self._appetite.threads - self._busy))
        notes, self._notes = self._notes, []
        self._number += 1
        arguments = self._claims.trip_arguments(
            self._number,
            [(note, held.thread, held.is_shown) for note, held, _ in notes],
            wanted=wanted,
            starting=starting,
        )
        self._slots.be_unsure(is_unsure=wanted > 0)
        # Handlers have run, and only the store may decide whether that still counts: until it has answered.
        reply, sent_at = self._line.insist(arguments, self._is_stopping, meanwhile=self._meanwhile)
        self._appetite.took(time.monotonic() - sent_at, sum(ended is not None for _, _, ended in notes))
        arrival = self._claims.arrival(reply)
        self._slots.be_unsure(is_unsure=False)
        for (note, held, ended), is_done in zip(notes, arrival.are_done, strict=True):
            self._told(note, held, ended, is_done=is_done)
        for claim in arrival.claims:
            self._came(claim, sent_at, starting)
        if arrival.is_paused:
            self._paused_until = time.monotonic() + PAUSED_SECONDS
        elif len(arrival.claims) < wanted and self._alone.held is None:
            self._may_find_more = False
            self._ask_for_work()

    def _told(self, note: Ack, held: JobInProgress, ended: Finished | None, *, is_done: bool) -> None:
        if note.kind == acks.START:
            if not is_done:
                held.lose()
            return
        self._slots.free(held.slot)
        self._free_slots.append(held.slot)
        del self._held[held.claim.key]
        if ended is not None:
            self._to_conclude.append((ended, is_done))

    def _came(self, claim: Claim, sent_at: float, starting: int) -> None:
        slot = self._free_slots.pop()
        self._slots.reserve(slot, claim.key)
        held = JobInProgress(claim, slot, time.monotonic(), may_start_until(sent_at))
        held.is_shown = claim.place <= starting
        self._held[claim.key] = held
        self._busy += 1
        if claim.interruptions > 0:
            self._alone.came(held)
        else:
            self._to_hand_over.append(held)

    def _hand_over(self, held: JobInProgress) -> None:
        held.came_at = time.monotonic()
        held.is_handed_over = True
        self.waiting.put(held)

    def _meanwhile(self) -> None:
        """What the last trip brought, while the next one is under way: threads that wake sooner would hold that up."""
        handing_over, self._to_hand_over = self._to_hand_over, []
        for held in handing_over:
            self._hand_over(held)
        if lone := self._alone.begins(self._busy):
            self._hand_over(lone)
        self._conclude()

    def _conclude(self) -> None:
        """Log and count what the last trip settled."""
        concluding, self._to_conclude = self._to_conclude, []
        for ended, is_done in concluding:
            ended.settled.conclude(is_done)
