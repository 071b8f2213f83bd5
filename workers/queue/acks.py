"""The acknowledgements that a process sends to the store: finish, retry, bury, give back. One exchange carries many."""

from collections.abc import Iterable
from typing import NamedTuple

from surehook.shared.failures import failure_of
from surehook.shared.job_id import packed_id
from surehook.shared.scripts import Argument
from surehook.shared.tracebacks import packed
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord

START = "start"
FINISH = "finish"
SKIP = "skip"
MOVE, FAN_OUT = "move", "fan_out"
# How much RQ's tools show of a job in progress: nothing, that it runs, and in which worker.
NOT_SHOWN, RUN_SHOWN, WORKER_SHOWN = 0, 1, 2


class Ack(NamedTuple):
    """A claim, and the step that the store is to take for it. The store refuses the ack of a stale claim."""

    kind: str
    claim: Claim
    arguments: tuple[Argument, ...] = ()

    def targets(self) -> tuple[Argument, ...]:
        """The queues to which it sends jobs."""
        if self.kind == MOVE:
            return self.arguments[1:2]
        return self.arguments[1::4] if self.kind == FAN_OUT else ()

    def packed(self, worker: str, shown: int) -> tuple[Argument, ...]:
        """The script's arguments for it. `shown`: what RQ's tools show of the job."""
        claim = self.claim
        return (
            self.kind,
            claim.job_id,
            claim.token,
            worker,
            int(shown),
            len(self.arguments),
            *self.arguments,
        )


def start(claim: Claim) -> Ack:
    return Ack(START, claim)


def finish(claim: Claim, outcome: str, attempt: AttemptRecord | None, facts: bytes = b"") -> Ack:
    """`facts`: the event's for the index, which the store looks up if there are none."""
    if attempt is None:
        return Ack(FINISH, claim, (outcome, "", 0, "", _known_id(claim), facts))
    return Ack(FINISH, claim, (outcome, *attempt.as_arguments(), _known_id(claim), facts))


def skip(claim: Claim, attempt: AttemptRecord) -> Ack:
    """The handler had no reason to run."""
    return Ack(SKIP, claim, ("done", *attempt.as_arguments(), _known_id(claim), b""))


def _known_id(claim: Claim) -> bytes:
    # For an event that came as a transaction the store decides whether its id stays known.
    return b"" if claim.was_transactional else packed_id(claim.event_id)


def retry(claim: Claim, attempt: AttemptRecord, traceback: str, *, delay_seconds: float, spends_retry: bool) -> Ack:
    delay, spends = milliseconds(delay_seconds), int(spends_retry)
    record, seconds, started_at = attempt.as_arguments()
    arguments = (delay, spends, record, packed(traceback), attempt.handler, seconds, started_at)
    return Ack("retry", claim, arguments)


def bury(claim: Claim, attempt: AttemptRecord, traceback: str, *, code: str = "") -> Ack:
    """`code`: the fingerprint of the handler's source."""
    failure = failure_of(attempt.error, traceback).packed(code)
    record, seconds, started_at = attempt.as_arguments()
    return Ack("bury", claim, (record, packed(traceback), attempt.handler, seconds, started_at, failure))


def give_back(claim: Claim, *, delay_seconds: float = 0.0) -> Ack:
    return Ack("give_back", claim, (milliseconds(delay_seconds),))


class HandlerJob(NamedTuple):
    """The job of one handler of an event. `place` is its place in a line, for a handler with an order."""

    handler: str
    queue: str
    timeout_seconds: float
    place: str = ""


def fan_out(claim: Claim, jobs: Iterable[HandlerJob]) -> Ack:
    """Replaces the event's job by these."""
    flat = tuple(part for name, queue, timeout, place in jobs for part in (name, queue, f"{timeout:g}", place))
    return Ack(FAN_OUT, claim, flat)


def move(claim: Claim, handler: str, queue: str, timeout: float) -> Ack:
    """Puts the job on its handler's own queue, uncounted."""
    return Ack(MOVE, claim, (handler, queue, f"{timeout:g}"))


def place(claim: Claim, place: str) -> Ack:
    """Gives the job its place in a line: it waits for its turn, uncounted."""
    return Ack("place", claim, (place,))


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
