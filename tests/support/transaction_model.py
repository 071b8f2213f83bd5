"""The promises of the transaction protocol, as plain Python: one model for each event id, with its own clock."""

from dataclasses import dataclass, field

from tests.support.transaction_round import REFUSALS, Round, Run
from tests.support.transactions import Windows


@dataclass
class Model:
    """One event: its decision, how long that is remembered, and the jobs it must have."""

    windows: Windows
    round: Round | None = None
    decision: str = ""
    remembered_until: int | None = None
    """When the last round is forgotten; None until it is over."""
    jobs: list[str] = field(default_factory=list)
    is_closed: bool = True
    is_committed: bool = False
    orphans: int = 0
    is_orphan: bool = False
    given_up: set[Run] = field(default_factory=set)
    """The runs that were presumed dead, and may still have effects."""
    late_undo: set[str] = field(default_factory=set)
    """The undo jobs that wait for the end of the round."""
    is_erasing: bool = False
    is_undone_first: bool = False
    is_erased: bool = False
    confirmed: str = ""
    """The number of the round that ended with a confirmed success."""
    notifications: list[tuple[str, str, str]] = field(default_factory=list)
    """(process, round, state) of every notification of a waiting process."""

    def forget(self, now: int) -> None:
        if self.round and self.remembered_until is not None and now > self.remembered_until:
            self.round, self.remembered_until = None, None

    def submit(self, number: str, process: str, now: int, *, unavailable: str) -> str:
        self.forget(now)
        if self.round and self.round.state not in REFUSALS:
            return self._join(self.round, process, now)
        is_remembered = self.decision and (not self.is_closed or self.is_committed or self.is_erased)
        if self.round or self.decision == "completed" or is_remembered:
            return self.decision
        if unavailable:
            return unavailable
        self.decision, self.is_closed = "pending", False
        self.round = Round(number, now + self.windows.budget, waiters={process})
        return "waiting"

    def _join(self, current: Round, process: str, now: int) -> str:
        is_settled = current.state == "completed"
        if now > current.deadline + (self.windows.confirm if is_settled else 0):
            if is_settled:
                self._orphan(now)
            else:
                self._decide("abandoned", now)
            return "abandoned"
        current.waiters.add(process)
        current.requests += 1
        return "unconfirmed" if is_settled else "waiting"

    def starts(self, worker: str, claim: int, now: int) -> bool:
        """A worker claims: True if its handlers may start. `claim` is 0 when the claim brought another event."""
        self.forget(now)
        current = self.round
        if current is None or current.state != "waiting":
            return False
        if now > current.deadline:
            self._decide("abandoned", now)
            return False
        current.state, current.worker, current.claim = "running", worker, claim
        current.starts += 1
        return True

    def settle(self, run: Run, outcome: str, now: int, *, is_unknown: bool, undo: list[str]) -> str:
        number, *by = run
        self.forget(now)
        current = self.round
        if current is None and self.confirmed == number:
            return "completed"
        if current and (current.number, current.settled_by) == (number, tuple(by)):
            return current.state
        if current is None or run != (current.number, current.worker, current.claim):
            self._end_late(run, undo, is_orphan=is_unknown or outcome == "completed")
            return "stale"
        current.worker, current.settled_by = None, (run[1], run[2])
        in_time = current.state == "running" and now <= current.deadline
        if in_time and outcome == "completed":
            current.state, current.undo = "completed", tuple(undo)
            self._notify(current)
            return "completed"
        if current.state == "running":
            self._decide(outcome if in_time else "abandoned", now, is_over=False)
        self._end(now, undo, is_orphan=is_unknown or outcome == "completed")
        return current.state

    def give_back(self, run: Run, now: int) -> str:
        self.forget(now)
        current = self.round
        if current is None or run != (current.number, current.worker, current.claim):
            return "stale"
        if current.state != "running" or now > current.deadline:
            self.release(now)
            return "abandoned"
        current.state, current.worker = "waiting", None
        return "done"

    def erase(self) -> str:
        if not self.decision or self.is_erased:
            return "gone"
        if (self.round and self.remembered_until is None) or self.is_undone_first:
            self.is_erasing = True
            return "running"
        self._erase()
        return "erased"

    def jobs_ran(self) -> None:
        was_orphan, self.is_closed = self.is_orphan, self.is_closed or bool(self.jobs) or self.is_committed
        self.jobs = []
        if self.is_undone_first:
            self._erase()
            self.is_orphan = was_orphan

    def confirm(self, number: str, now: int) -> str:
        self.forget(now)
        current = self.round
        if current is None or current.number != number:
            return self._remembered()
        if current.state == "completed":
            if now <= current.deadline + self.windows.confirm:
                return self._confirm()
            self._orphan(now)
        return current.state

    def abandon(self, number: str, now: int, *, is_gone: bool) -> str:
        self.forget(now)
        current = self.round
        if current is None or current.number != number:
            return self._remembered()
        is_alone = current.requests <= 1
        if is_gone:
            current.requests -= 1
            if current.requests > 0:
                return "left"
        if is_alone:
            current.waiters = set()
        if current.state == "completed":
            if not is_gone and now <= current.deadline + self.windows.confirm:
                return self._confirm()
            self._orphan(now)
        elif current.state in ("waiting", "running"):
            self._decide("abandoned", now)
        return current.state

    def recover(self, now: int) -> None:
        """Decides a round whose deadline has passed, as every recovery does."""
        current = self.round
        if current and now > current.deadline + self.windows.confirm:
            if current.state == "completed":
                self._orphan(now)
            elif current.state in ("waiting", "running"):
                self._decide("abandoned", now)

    def presume_dead(self, now: int, undo: list[str]) -> None:
        self.recover(now)
        current = self.round
        if current and current.worker and now > current.deadline + self.windows.dead:
            self.given_up.add((current.number, current.worker, current.claim))
            current.worker = None
            self._end(now, undo, is_orphan=True)

    def release(self, now: int) -> None:
        """Ends a claim whose handlers never started, as its worker reports."""
        current = self.round
        assert current
        current.worker = None
        if current.state == "running":
            self._decide("abandoned", now, is_over=False)
        self._end(now, [], is_orphan=False)

    def _remembered(self) -> str:
        return self.decision if self.decision in (*REFUSALS, "completed") else "abandoned"

    def _confirm(self) -> str:
        assert self.round
        self.decision, self.confirmed, self.round = "completed", self.round.number, None
        self.given_up, self.late_undo = set(), set()
        self._queue_jobs(["committed"], is_success=True)
        return "completed"

    def _decide(self, state: str, now: int, *, is_over: bool = True) -> None:
        current = self.round
        assert current
        current.state = self.decision = state
        self._decided_at = now
        self._notify(current)
        if is_over and current.worker is None:
            self._end(now, [], is_orphan=False)

    def _notify(self, current: Round) -> None:
        self.notifications += [(process, current.number, current.state) for process in current.waiters]

    def _orphan(self, now: int) -> None:
        assert self.round
        self._decide("abandoned", now, is_over=False)
        self._end(now, list(self.round.undo), is_orphan=True)

    def _end(self, now: int, undo: list[str], *, is_orphan: bool) -> None:
        self.remembered_until = min(self._decided_at, now) + self.windows.memory
        self.forget(now)
        late, self.late_undo = self.late_undo, set()
        self._queue_jobs(sorted({*undo, *late}))
        self.orphans += is_orphan
        self.is_orphan = self.is_orphan or is_orphan

    def _end_late(self, run: Run, undo: list[str], *, is_orphan: bool) -> None:
        """Ends a run whose worker was presumed dead: its sender has its answer, so the effect is only undone again."""
        if run not in self.given_up:
            return
        self.given_up.remove(run)
        self.is_orphan = self.is_orphan or is_orphan
        if self.is_erased:
            return
        if self.round and self.remembered_until is None:
            self.late_undo |= set(undo)
        else:
            self._queue_jobs(undo)

    def commit(self) -> None:
        """FusionAuth went ahead: the handlers run as for a committed event."""
        self.is_committed, self.is_closed, self.jobs, self.given_up = True, False, [""], set()

    def _erase(self) -> None:
        self.jobs, self.is_closed, self.is_erased = [], True, True
        self.is_erasing = self.is_undone_first = self.is_orphan = False
        self.confirmed = ""

    def _queue_jobs(self, jobs: list[str], *, is_success: bool = False) -> None:
        if self.is_erasing and (is_success or not jobs):
            self._erase()
            return
        self.is_undone_first = self.is_erasing
        self.jobs = sorted(jobs)
        self.is_closed = not jobs
