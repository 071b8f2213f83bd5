"""The slots in which transactions run, and the batches of runs, which the threads of a process share.

A thread alone claims, runs and settles one transaction after the other. While handlers return at once, most of the time
goes to packets and to changes of threads. So then one thread works for all slots: it claims a batch, runs its
transactions in turn and settles them together, and the other threads wait. Slow handlers end this. Runs that wait
behind a slow one go to other threads.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from surehook.workers.deques import taken
from surehook.workers.transactional.batch import (
    Batch,
    ClaimedRun,
    FinishedRun,
    RunSlot,
    is_older,
    taken_if_older,
)

# An event whose handlers take less in all is fast. For others, several threads do more.
FAST_SECONDS = 0.0003
# One event that takes as long as this makes all threads work again.
LONG_SECONDS = 0.02
# The score: a fast event adds 1, a slow one subtracts SLOW_COSTS. One thread takes over at BECOMES_FAST, and all work
# again below STAYS_FAST.
SLOW_COSTS = 20
BECOMES_FAST, STAYS_FAST, HIGHEST = 300, 200, 400
# The longest time for which the first outcome of a batch waits for the others.
LONGEST_BATCH_SECONDS = 0.005
# A run that has waited as long as this in a batch goes to other threads.
HELD_UP_SECONDS = 0.03


class SlotPool:
    """The slots of a process, one for each thread, and the threads' batches."""

    def __init__(self, slots: Iterable[RunSlot]) -> None:
        self._unsure = deque(
            slots
        )  # the reply to a claim may have been lost: the store may think that they run something
        self._free: deque[RunSlot] = deque()
        self._count = len(self._unsure)
        self._batches: list[Batch] = []
        self._score = 0
        self.is_fast = False
        self._changed = threading.Condition()
        self._working = self._waiting = self._waiting_for_slot = 0
        self.is_stopping = False

    def new_batch(self) -> Batch:
        """The batch of one more thread.

        It outlives its thread, so that others run and settle what is in it. The supervisor ends the runs that the
        thread was settling.
        """
        self._batches.append(Batch())
        return self._batches[-1]

    def join(self) -> None:
        """A thread begins to work."""
        with self._changed:
            self._working += 1

    def leave(self) -> None:
        """A thread ends."""
        with self._changed:
            self._working -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Wakes all threads, which finish what was claimed."""
        self.is_stopping = True
        self._wake_all()

    @property
    def has_work(self) -> bool:
        return any(self._batches)

    @property
    def most_at_once(self) -> int:
        """For how many slots a thread may claim."""
        return max(1, self._count - self._waiting_for_slot) if self.is_fast else 1

    def wait_for_turn(self, own: Batch, *, is_out_of_turn: bool = False) -> None:
        """Waits while there is nothing to do for the calling thread, whose batch is `own`.

        Out of turn, it waits for no other thread, only for a slot, which the one that works for all leaves to it.
        """
        if not self._must_wait(own, is_out_of_turn=is_out_of_turn):
            return
        with self._changed:
            self._working -= 1
            self._waiting += 1
            self._waiting_for_slot += is_out_of_turn
            self._changed.wait_for(lambda: not self._must_wait(own, is_out_of_turn=is_out_of_turn, coming=1))
            self._working += 1
            self._waiting -= 1
            self._waiting_for_slot -= is_out_of_turn

    def _must_wait(self, own: Batch, *, is_out_of_turn: bool, coming: int = 0) -> bool:
        """`coming`: 1 if the calling thread is not counted as working."""
        if own or self.is_stopping or self._has_held_up_runs():
            return False
        if not self._free and not self._unsure:
            return True
        return self.is_fast and not is_out_of_turn and self._working + coming > 1

    @property
    def may_claim(self) -> bool:
        return not self.is_fast or self._working <= 1

    def take_unsure(self) -> RunSlot | None:
        """A slot that may hold a claim whose reply was lost."""
        return next(taken(self._unsure), None)

    def take_free(self, count: int) -> list[RunSlot]:
        """Up to `count` slots for which no thread claims."""
        return list(islice(taken(self._free), count))

    def release(self, slots: Iterable[RunSlot]) -> None:
        """Returns slots whose transactions have ended, or that got none."""
        for slot in slots:
            (self._unsure if slot.may_hold_claim else self._free).append(slot)
        if self._waiting_for_slot or (self._waiting and not self.is_fast):
            self._wake_all()

    def next_claimed(self, own: Batch) -> ClaimedRun | None:
        """A run of the thread's batch, or one that is held up in another's."""
        if (run := next(taken(own.claimed), None)) is not None:
            return run
        before = time.monotonic() - HELD_UP_SECONDS
        held_up: Iterator[ClaimedRun] = chain.from_iterable(
            taken_if_older(batch.claimed, before) for batch in self._batches
        )
        return next(held_up, None)

    def take_finished(self, own: Batch) -> list[FinishedRun]:
        """All of the thread's batch, and those that are held up in others'."""
        runs = list(taken(own.finished))
        before = time.monotonic() - HELD_UP_SECONDS
        for batch in self._batches:
            runs += taken_if_older(batch.finished, before)
        return runs

    def note_run(self, seconds: float) -> None:
        """Counts a run, which decides how the threads work."""
        if seconds < FAST_SECONDS:
            self._score = min(self._score + 1, HIGHEST)
            self.is_fast = self.is_fast or (self._score >= BECOMES_FAST and not self._has_held_up_thread())
            return
        self._score = max(0, self._score - SLOW_COSTS) if seconds < LONG_SECONDS else 0
        if self.is_fast and self._score < STAYS_FAST:
            self.let_all_work()

    def let_all_work(self) -> None:
        """Lets every thread work, until handlers have been fast for a while."""
        self._score, self.is_fast = 0, False
        self._wake_all()

    def help_if_held_up(self) -> None:
        """Called often. Wakes all threads if a run or a thread is held up, so that they take over its runs."""
        if self._has_held_up_runs() or (self.is_fast and self._has_held_up_thread()):
            self.let_all_work()

    def _has_held_up_runs(self) -> bool:
        before = time.monotonic() - HELD_UP_SECONDS
        return any(
            is_older(batch.claimed, before) or is_older(batch.finished, before) for batch in self._batches if batch
        )

    def _has_held_up_thread(self) -> bool:
        before = time.monotonic() - HELD_UP_SECONDS
        return any(batch.is_busy_from < before for batch in self._batches)

    def _wake_all(self) -> None:
        with self._changed:
            self._changed.notify_all()
