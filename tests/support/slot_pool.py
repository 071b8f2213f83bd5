"""A pool of slots without a store, and the runs in its batches."""

import time
from typing import Any

from surehook.workers.transactional.batch import ClaimedRun, FinishedRun, RunSlot
from surehook.workers.transactional.pool import HIGHEST, SlotPool
from surehook.workers.transactional.transaction import Outcome, Transaction

SLOTS = 4
FOREVER = 1e9
DONE = Outcome("completed")


def a_slot() -> RunSlot:
    nothing: Any = None
    return RunSlot(nothing, nothing)


def a_pool() -> SlotPool:
    """A pool whose slots are free."""
    pool = SlotPool(a_slot() for _ in range(SLOTS))
    while (slot := pool.take_unsure()) is not None:
        slot.may_hold_claim = False
        pool.release([slot])
    return pool


def a_fast_pool() -> SlotPool:
    pool = a_pool()
    note(pool, HIGHEST, 0.0)
    return pool


def note(pool: SlotPool, runs: int, seconds: float) -> None:
    for _ in range(runs):
        pool.note_run(seconds)


def claimed(age: float) -> ClaimedRun:
    return ClaimedRun(a_slot(), Transaction("id", "round", 1, "user.create", "", "", b""), time.monotonic() - age)


def finished(age: float) -> FinishedRun:
    slot, transaction, since = claimed(age)
    return FinishedRun(slot, transaction, DONE, since)
