"""The slots in which transactions run, and one thread's batch of runs."""

import math
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from surehook.workers.deques import first_of, taken
from surehook.workers.execution.runner import RunContext
from surehook.workers.transactional.protocol import TransactionProtocol
from surehook.workers.transactional.transaction import Outcome, Transaction

NEVER = math.inf


class TransactionContext(RunContext, Protocol):
    """The slot in which a process shows its supervisor a transaction: reserved, started, finished, freed."""

    def reserve(self, transaction: Transaction) -> None: ...

    def finish_runs(self) -> None: ...

    def free(self) -> None: ...


class RunSlot:
    """Has at most one transaction at a time, which any thread may run. RQ's tools show it as a worker."""

    def __init__(self, worker: TransactionProtocol, context: TransactionContext) -> None:
        self.worker = worker
        self.context = context
        self.may_hold_claim = True
        """The reply to a claim may have been lost."""


class ClaimedRun(NamedTuple):
    """A transaction that no thread has started."""

    slot: RunSlot
    transaction: Transaction
    since: float


class FinishedRun(NamedTuple):
    """A transaction whose handlers have ended, and which is not settled yet."""

    slot: RunSlot
    transaction: Transaction
    outcome: Outcome
    since: float


RunT = TypeVar("RunT", ClaimedRun, FinishedRun)


class Batch:
    """One thread's runs. Other threads take what is held up: each step on a deque is atomic in Python."""

    def __init__(self) -> None:
        self.claimed: deque[ClaimedRun] = deque()
        self.finished: deque[FinishedRun] = deque()
        self.is_busy_from = NEVER
        """Since when its thread has been in a handler, in a pause or without a reply from the store. In the future
        while it waits for an event, NEVER if it is in none of these."""

    def __bool__(self) -> bool:
        return bool(self.claimed or self.finished)


def taken_if_older(runs: "deque[RunT]", before: float) -> Iterator[RunT]:
    """Another thread may take the first one in between; then the next one is taken, however old it is."""
    while is_older(runs, before):
        yield from islice(taken(runs), 1)


def is_older(runs: "deque[RunT]", before: float) -> bool:
    run = first_of(runs)
    return run is not None and run.since < before
