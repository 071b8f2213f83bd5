"""Claims: taking a job under a lease, and every way to end that. Each is one script on the store.

A claim that has lapsed or was taken over is *stale*: nothing it asks for is done any more.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import redis

from shared.keys import Keys
from shared.replies import text, texts
from shared.scripts import Argument, Script

LEASE_SECONDS = 10.0
MAX_INTERRUPTIONS = 3
DUE_AT_ONCE = 500
SCRIPT_NAMES = (
    "claim", "renew", "finish", "retry", "bury", "give_back", "fan_out", "interrupt", "due",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
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

    @property
    def event_id(self) -> str:
        return self.job_id[:36]

    @property
    def key(self) -> str:
        return f"{self.job_id}:{self.token}"


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One line of an event's history."""

    handler: str
    number: int
    began_at: datetime
    elapsed_ms: float
    outcome: str
    error: str = ""

    def as_json(self) -> str:
        return json.dumps(
            {
                "handler": self.handler,
                "number": self.number,
                "at": self.began_at.isoformat(timespec="milliseconds"),
                "elapsed_ms": self.elapsed_ms,
                "outcome": self.outcome,
                "error": self.error,
            }
        )


class Claims:
    """The scripts of one worker on one queue."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        queue: str,
        worker: str,
        *,
        retention_seconds: int,
        handler_timeout: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._queue = queue
        self._worker = worker
        self._retention_seconds = retention_seconds
        self._handler_timeout = f"{handler_timeout:g}"
        self._scripts = {name: Script(name, keys) for name in SCRIPT_NAMES}

    def claim(self) -> Claim | None:
        """The next job, or the one we hold already if the last reply was lost."""
        token = uuid4().hex
        reply = self._run("claim", self._worker, token, _milliseconds(LEASE_SECONDS), self._handler_timeout)
        if reply is None:
            return None
        job_id, held, runs, spent, interruptions, flat = reply
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            queue=self._queue,
            job_id=job_id.decode(),
            token=held.decode(),
            runs=runs,
            spent=spent,
            interruptions=interruptions,
            handler_name=job_id[37:].decode() or record.get(b"handler", b"").decode(),
            event_type=record[b"type"].decode(),
            tenant_id=record[b"tenant"].decode(),
            application_id=record[b"application"].decode(),
            body=record[b"body"],
            key_id=record.get(b"key_id", b"").decode(),
            as_fact=b"as_fact" in record,
        )

    def renew(self, claims: Sequence[str]) -> list[str]:
        """Renew leases; returns those that are lost."""
        lost = self._run("renew", self._worker, _milliseconds(LEASE_SECONDS), *claims)
        return texts(lost)

    def finish(self, claim: Claim, outcome: str, attempt: AttemptRecord | None) -> bool:
        written = attempt.as_json() if attempt else ""
        return self._end("finish", claim, self._worker, outcome, self._retention_seconds, written)

    def retry(
        self,
        claim: Claim,
        attempt: AttemptRecord,
        traceback: str,
        *,
        delay_seconds: float,
        spends_retry: bool,
    ) -> bool:
        delay, spends = _milliseconds(delay_seconds), int(spends_retry)
        return self._end(
            "retry", claim, self._worker, delay, spends, attempt.as_json(), _packed(traceback), attempt.handler
        )

    def bury(self, claim: Claim, attempt: AttemptRecord, traceback: str) -> bool:
        return self._end("bury", claim, self._worker, attempt.as_json(), _packed(traceback), attempt.handler)

    def give_back(self, claim: Claim, *, delay_seconds: float) -> bool:
        return self._end("give_back", claim, _milliseconds(delay_seconds))

    def fan_out(self, claim: Claim, handlers: Iterable[tuple[str, str, float]]) -> bool:
        """One job for each (handler, queue, timeout in seconds), in place of the event's own."""
        flat = [part for name, queue, timeout in handlers for part in (name, queue, f"{timeout:g}")]
        return self._end("fan_out", claim, *flat)

    def remembers(self, claim: Claim, attempt: AttemptRecord) -> bool:
        """Whether an attempt is on record: the transition whose reply was lost had landed."""
        return attempt.as_json() in texts(self._store.lrange(self._keys.attempts(claim.event_id), 0, -1))

    def key_needed(self, event_id: str) -> str | None:
        """The fingerprint of the key that an open event's body needs ("": none). None: it is closed or gone."""
        is_there, closed_at, key_id = self._store.hmget(self._keys.event(event_id), "type", "closed_at", "key_id")
        return None if is_there is None or closed_at is not None else text(key_id)

    def lapsed(self) -> list[str]:
        """Claims whose lease is over, by the store's clock."""
        seconds, micros = self._store.time()
        now_ms = seconds * 1000 + micros // 1000
        return texts(self._store.zrangebyscore(self._keys.leases(self._queue), "-inf", now_ms))

    def held_by(self, worker: str) -> list[str]:
        """Claims of a worker's process, wherever their lease stands."""
        return texts(self._store.smembers(f"rq:worker:{worker}:executions"))

    def interrupt(self, key: str, attempt: AttemptRecord, *, is_gone: bool, counts: bool) -> str:
        """Give back the job of a process that died. Returns requeued, buried or stale.

        Args:
            is_gone: the process was seen to be gone; otherwise the lease must have lapsed.
            counts: towards the interruptions after which a job is a dead letter.
        """
        job_id, _, token = key.rpartition(":")
        why = _packed(
            f"The process that ran this handler died {MAX_INTERRUPTIONS} times while it ran (killed, out of memory, "
            "or a handler that could not be stopped). It will not run again by itself.\n"
        )
        allowed = MAX_INTERRUPTIONS if counts else 0
        reply = self._run("interrupt", job_id, token, self._worker, attempt.as_json(), why, allowed, int(is_gone))
        return text(reply)

    def move_due(self) -> int:
        return int(self._run("due", DUE_AT_ONCE))

    def is_paused(self) -> bool:
        """Whether an operator has paused the queue."""
        return bool(self._store.sismember(self._keys.paused, self._queue))

    def _end(self, name: str, claim: Claim, *args: Argument) -> bool:
        return bool(self._run(name, claim.job_id, claim.token, *args) == b"done")

    def _run(self, name: str, *args: Argument) -> Any:
        return self._scripts[name].run(self._store, self._queue, *args)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _packed(text: str) -> str:
    """As RQ keeps a traceback: zlib, then base64."""
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"))).decode()
