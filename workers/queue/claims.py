"""Claims: taking jobs under a lease, and every way to end that. Each is a script on the store.

A claim that has lapsed or was taken over is *stale*: nothing it asks for is done any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1
from typing import Any
from uuid import uuid4

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import Argument, Script, text, texts
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.queue import acks
from surehook.workers.queue.acks import Ack, milliseconds, packed

LEASE_SECONDS = 10.0
# A claim that is about to lapse is not started any more.
LEASE_MARGIN_SECONDS = 2.0
MAX_INTERRUPTIONS = 3
DUE_AT_ONCE = 500
SCRIPT_NAMES = ("trip", "renew", "interrupt", "due")
UNNUMBERED = 0
DONE = "d"
MARK_LENGTH = 20


class Known(Enum):
    """What is known of a claim whose process is dead or cut off."""

    LAPSED = "lapsed"
    STARTED = "started"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a trip brought back: its notes' outcomes in their order, and claims."""

    are_done: tuple[bool, ...]
    is_paused: bool
    claims: tuple[Claim, ...]


class Claims:
    """The scripts of one worker process on one queue."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        queue: str,
        process: str,
        *,
        retention_seconds: int,
        handler_timeout: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._queue = queue
        self._process = process
        self._retention_seconds = retention_seconds
        self._handler_timeout = f"{handler_timeout:g}"
        self._scripts = {name: Script(name, keys) for name in SCRIPT_NAMES}
        self._mark = mark_of(process)

    def trip_script(self) -> Script:
        return self._scripts["trip"]

    def trip_arguments(
        self, number: int, notes: Iterable[tuple[Ack, str, bool]], *, wanted: int, starting: int
    ) -> tuple[Argument, ...]:
        """A trip in the script's words. Notes come with the name of their worker, and whether RQ's tools see it run."""
        flat: list[Argument] = [
            self._queue,
            self._process,
            number,
            f"{self._mark}-{number or uuid4().hex}-",
            milliseconds(LEASE_SECONDS),
            self._retention_seconds,
            self._handler_timeout,
            wanted,
            starting,
        ]
        for note, worker, is_shown in notes:
            flat += note.packed(worker, is_shown=is_shown)
        return tuple(flat)

    def arrival(self, reply: Any) -> FetchResult:
        if reply is None:
            raise RuntimeError("the store has made a later trip of this process: two have its name")
        outcomes, is_paused, rows = reply
        claims = tuple(self._claim(*row) for row in rows)
        return FetchResult(tuple(letter == DONE for letter in outcomes.decode()), bool(is_paused), claims)

    def claim(self) -> Claim | None:
        """The next job alone."""
        reply = self._scripts["trip"].run(self._store, *self.trip_arguments(UNNUMBERED, (), wanted=1, starting=1))
        return next(iter(self.arrival(reply).claims), None)

    def settle(self, note: Ack) -> bool:
        """Alone and at once. False: the claim is stale."""
        arguments = self.trip_arguments(UNNUMBERED, [(note, self._process, True)], wanted=0, starting=0)
        return self.arrival(self._scripts["trip"].run(self._store, *arguments)).are_done[0]

    def renew(self, claims: Sequence[str]) -> list[str]:
        """Renew leases, or all of the process when none is named; returns those that are lost."""
        return texts(self._run("renew", self._mark, milliseconds(LEASE_SECONDS), *claims))

    def finish(self, claim: Claim, outcome: str, attempt: AttemptRecord | None) -> bool:
        return self.settle(acks.finish(claim, outcome, attempt))

    def retry(
        self, claim: Claim, attempt: AttemptRecord, traceback: str, *, delay_seconds: float, spends_retry: bool
    ) -> bool:
        note = acks.retry(claim, attempt, traceback, delay_seconds=delay_seconds, spends_retry=spends_retry)
        return self.settle(note)

    def bury(self, claim: Claim, attempt: AttemptRecord, traceback: str) -> bool:
        return self.settle(acks.bury(claim, attempt, traceback))

    def give_back(self, claim: Claim, *, delay_seconds: float) -> bool:
        return self.settle(acks.give_back(claim, delay_seconds=delay_seconds))

    def fan_out(self, claim: Claim, handlers: Iterable[tuple[str, str, float]]) -> bool:
        return self.settle(acks.fan_out(claim, handlers))

    def key_needed(self, event_id: str) -> str | None:
        """The fingerprint of the key that an open event's body needs ("": none). None: it is closed or gone."""
        is_there, closed_at, key_id = self._store.hmget(self._keys.event(event_id), "type", "closed_at", "key_id")
        return None if is_there is None or closed_at is not None else text(key_id)

    def lapsed(self) -> list[str]:
        """Claims whose lease is over, by the store's clock."""
        seconds, micros = self._store.time()
        now_ms = seconds * 1000 + micros // 1000
        return texts(self._store.zrangebyscore(self._keys.leases(self._queue), "-inf", now_ms))

    def held_by(self, process: str) -> list[str]:
        """Claims of a process, wherever their lease stands, the youngest first."""
        held = texts(self._store.smembers(self._keys.held(mark_of(process))))
        return sorted(held, key=_age, reverse=True)

    def interrupt(self, key: str, attempt: AttemptRecord, *, known: Known, counts: bool) -> str:
        """Give back the job of a process that died. Returns requeued, buried, unharmed or stale.

        Args:
            known: that its lease lapsed, or, of a process that was seen to be gone, how it left the claim.
            counts: towards the interruptions after which a job is a dead letter.
        """
        job_id, _, token = key.rpartition(":")
        why = packed(
            f"The process that ran this handler died {MAX_INTERRUPTIONS} times while it ran (killed, out of memory, "
            "or a handler that could not be stopped). It will not run again by itself.\n"
        )
        allowed = MAX_INTERRUPTIONS if counts else 0
        return text(
            self._run("interrupt", job_id, token, attempt.as_json(), why, allowed, known.value, self._handler_timeout)
        )

    def move_due(self) -> int:
        return int(self._run("due", DUE_AT_ONCE, self._handler_timeout))

    def _run(self, name: str, *args: Argument) -> Any:
        return self._scripts[name].run(self._store, self._queue, *args)

    def _claim(
        self,
        job_id: bytes,
        token: bytes,
        runs: int,
        spent: int,
        interruptions: int,
        event_type: bytes,
        tenant_id: bytes,
        application_id: bytes,
        handler: bytes | None,
        body: bytes,
        key_id: bytes | None,
        as_fact: bytes | None,
        decision: bytes | None,
    ) -> Claim:
        whole_id = job_id.decode()
        return Claim(
            queue=self._queue,
            job_id=whole_id,
            token=token.decode(),
            runs=runs,
            spent=spent,
            interruptions=interruptions,
            handler_name=whole_id[37:] or (handler or b"").decode(),
            event_type=event_type.decode(),
            tenant_id=tenant_id.decode(),
            application_id=application_id.decode(),
            body=body,
            key_id=(key_id or b"").decode(),
            as_fact=as_fact is not None,
            was_asked=decision is not None,
        )


def mark_of(process: str) -> str:
    """What the tokens of a process begin with: short, and without the '-' that ends it."""
    return sha1(process.encode(), usedforsecurity=False).hexdigest()[:MARK_LENGTH]


def may_start_until(asked_at: float) -> float:
    """Of a claim that was taken or renewed by a question sent then, on the clock of time.monotonic()."""
    return asked_at + LEASE_SECONDS - LEASE_MARGIN_SECONDS


def _age(key: str) -> tuple[int, int]:
    """Where a claim came in the order of its process: its trip's number, and its place in that trip."""
    number, _, place = key.rpartition(":")[2].partition("-")[2].partition("-")
    return (int(number) if number.isdigit() else 0, int(place) if place.isdigit() else 0)
