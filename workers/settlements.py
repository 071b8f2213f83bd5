"""What a process tells the store of a claim it holds: that its run began, or how it ended. A trip carries these."""

import base64
import json
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from shared.scripts import Argument

START = "start"
_encode = json.JSONEncoder().encode
_NO_WORDS = '""'


# Named tuples: these are made several times for each job, and a frozen dataclass takes four times as long.
class Claim(NamedTuple):
    """A job that is ours for now, with its event's record."""

    queue: str
    job_id: str
    token: str
    runs: int
    spent: int
    interruptions: int
    handler_name: str
    """"" while nobody has looked yet who wants the event."""
    event_type: str
    tenant_id: str
    application_id: str
    body: bytes
    key_id: str = ""
    """The fingerprint of the key the body is encrypted with; "" if it is plain."""
    as_fact: bool = False
    """A person says that FusionAuth went ahead: the transactional handlers are told, too."""
    was_asked: bool = False
    """It came as a transaction, so its transactional handlers have had their say."""

    @property
    def event_id(self) -> str:
        return self.job_id[:36]

    @property
    def key(self) -> str:
        return f"{self.job_id}:{self.token}"

    @property
    def place(self) -> int:
        """In its trip, from 1."""
        return int(self.token.rpartition("-")[2])


class AttemptRecord(NamedTuple):
    """One line of an event's history."""

    handler: str
    number: int
    began_at: datetime
    elapsed_ms: float
    outcome: str
    error: str = ""

    def as_json(self) -> str:
        # By hand, as this is written for every run: ids, outcomes and numbers have nothing to escape.
        return (
            f'{{"handler": "{self.handler}", "number": {self.number}, '
            f'"at": "{self.began_at.isoformat(timespec="milliseconds")}", "elapsed_ms": {self.elapsed_ms}, '
            f'"outcome": "{self.outcome}", "error": {_encode(self.error) if self.error else _NO_WORDS}}}'
        )

    def times(self) -> tuple[str, str]:
        """How long it took and when it began, as RQ writes them."""
        began_at = self.began_at.replace(tzinfo=None).isoformat(timespec="microseconds")
        return f"{self.elapsed_ms / 1000:.4f}", f"{began_at}Z"


class Note(NamedTuple):
    """One line of a trip: a claim, and what shall happen to it. A stale claim's note is refused by the store."""

    kind: str
    claim: Claim
    arguments: tuple[Argument, ...] = ()

    def packed(self, worker: str, *, is_shown: bool) -> tuple[Argument, ...]:
        """For the store. `is_shown`: RQ's tools see it run."""
        claim = self.claim
        return (self.kind, claim.job_id, claim.token, worker, int(is_shown), len(self.arguments), *self.arguments)


def start(claim: Claim) -> Note:
    return Note(START, claim)


def finish(claim: Claim, outcome: str, attempt: AttemptRecord | None) -> Note:
    if attempt is None:
        return Note("finish", claim, (outcome, "", 0, ""))
    return Note("finish", claim, (outcome, attempt.as_json(), *attempt.times()))


def retry(claim: Claim, attempt: AttemptRecord, traceback: str, *, delay_seconds: float, spends_retry: bool) -> Note:
    delay, spends = milliseconds(delay_seconds), int(spends_retry)
    arguments = (delay, spends, attempt.as_json(), packed(traceback), attempt.handler, *attempt.times())
    return Note("retry", claim, arguments)


def bury(claim: Claim, attempt: AttemptRecord, traceback: str) -> Note:
    return Note("bury", claim, (attempt.as_json(), packed(traceback), attempt.handler, *attempt.times()))


def give_back(claim: Claim, *, delay_seconds: float = 0.0) -> Note:
    return Note("give_back", claim, (milliseconds(delay_seconds),))


def fan_out(claim: Claim, handlers: Iterable[tuple[str, str, float]]) -> Note:
    """One job for each (handler, queue, timeout in seconds), in place of the event's own."""
    flat = tuple(part for name, queue, timeout in handlers for part in (name, queue, f"{timeout:g}"))
    return Note("fan_out", claim, flat)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def packed(text: str) -> str:
    """As RQ keeps a traceback: zlib, then base64."""
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"))).decode()
