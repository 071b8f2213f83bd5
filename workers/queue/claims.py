"""Claims, renews and gives back jobs in the store: each step is one script.

A claim is *stale* once its lease has been removed, usually by recovery after it expired: the store refuses its
acknowledgements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1
from typing import Any

import redis

from surehook.shared.event_types import lua_patterns
from surehook.shared.failures import failure_of
from surehook.shared.job_id import handler_of
from surehook.shared.keys import Keys
from surehook.shared.limits import Limits
from surehook.shared.scripts import Argument, Script, text, texts, whole_number
from surehook.shared.settings import Settings
from surehook.shared.tracebacks import packed
from surehook.workers.claim import Claim
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.queue.acks import Ack, milliseconds
from surehook.workers.queue.jobs_without_record import JobsWithoutRecord

LEASE_SECONDS = 10.0
# A claim whose lease is about to expire is not started any more.
LEASE_MARGIN_SECONDS = 2.0
# As in interrupt.lua.
LONGEST_LEASE_MS = 20_000
MAX_INTERRUPTIONS = 3
DUE_AT_ONCE = 500
SCRIPT_NAMES = ("exchange", "renew", "interrupt", "promote_due")
REFUSED = "s"
TOKEN_PREFIX_LENGTH = 20


class ClaimState(Enum):
    """The last known state of a claim whose process is dead or cut off."""

    EXPIRED = "expired"
    STARTED = "started"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of an exchange: a letter for each ack, in their order, and the new claims."""

    letters: str
    is_paused: bool
    claims: tuple[Claim, ...]
    wait_seconds: float | None = None
    """On a handler's own queue: when another of its jobs may start. None: not known, or none waits."""

    @property
    def accepted_acks(self) -> tuple[bool, ...]:
        return tuple(letter != REFUSED for letter in self.letters)


class Claims:
    """The claims of one worker process on one queue."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        queue: str,
        process: str,
        *,
        retention_seconds: int,
        handler_timeout: float,
        limits: Limits | None = None,
    ) -> None:
        self._store, self._keys, self.queue = store, keys, queue
        self._limits = limits.packed() if limits else ""
        self._process = process
        self._retention_seconds, self._handler_timeout = retention_seconds, f"{handler_timeout:g}"
        self._scripts = {name: Script(name, keys) for name in SCRIPT_NAMES}
        self._token_prefix = token_prefix_of(process)
        self._without_record = JobsWithoutRecord(queue)
        self._ordered_types = ""

    def order_types(self, types: Iterable[str]) -> None:
        """Names the types and patterns of the process's handlers with an order."""
        self._ordered_types = lua_patterns(types)

    @classmethod
    def of(
        cls, store: redis.Redis, settings: Settings, queue: str, process: str, limits: Limits | None = None
    ) -> "Claims":
        return cls(
            store,
            Keys(settings.key_prefix),
            queue,
            process,
            retention_seconds=settings.retention,
            handler_timeout=settings.handler_timeout,
            limits=limits,
        )

    def exchange_script(self) -> Script:
        return self._scripts["exchange"]

    def exchange_arguments(
        self, number: int, acks: Iterable[tuple[Ack, str, int]], *, wanted: int, starting: int
    ) -> tuple[Argument, ...]:
        """The script's arguments. An ack comes with its RQ worker's name, and what RQ's tools show of it."""
        flat: list[Argument] = [
            self.queue,
            self._process,
            number,
            f"{self._token_prefix}-{number}-",
            milliseconds(LEASE_SECONDS),
            self._retention_seconds,
            self._handler_timeout,
            wanted,
            starting,
            self._ordered_types,
            self._limits,
        ]
        for ack, worker, shown in acks:
            flat += ack.packed(worker, shown)
        return tuple(flat)

    def parse_reply(self, reply: Any) -> FetchResult:
        if reply is None:
            raise RuntimeError("the store has seen a later exchange of this process: two processes have its name")
        letters, is_paused, rows, without_record, *wait_ms = reply
        self._without_record.report(len(without_record), texts(without_record))
        wait_seconds = wait_ms[0] / 1000 if wait_ms and wait_ms[0] >= 0 else None
        return FetchResult(letters.decode(), bool(is_paused), tuple(self._claim(*row) for row in rows), wait_seconds)

    def renew(self, claims: Sequence[str]) -> list[str]:
        """Renews these leases, or all of the process when none is named; returns the claims whose lease is lost."""
        return texts(self._run("renew", self._token_prefix, milliseconds(LEASE_SECONDS), *claims))

    def key_needed(self, event_id: str) -> str | None:
        """The fingerprint of the key that an open event's body needs ("": none). None: the event is closed or gone."""
        is_there, closed_at, key_id = self._store.hmget(self._keys.event(event_id), "type", "closed_at", "key_id")
        return None if is_there is None or closed_at is not None else text(key_id)

    def expired(self) -> list[str]:
        """Claims whose lease has expired by the store's clock, or is longer than any: then that clock was set back.

        After a step of the clock the recovery waits until every living process has renewed its leases.
        """
        seconds, micros = self._store.time()
        now_ms = seconds * 1000 + micros // 1000
        with self._store.pipeline(transaction=False) as pipeline:
            pipeline.zrangebyscore(self._keys.leases(self.queue), "-inf", now_ms)
            pipeline.zrangebyscore(self._keys.leases(self.queue), f"({now_ms + LONGEST_LEASE_MS}", "+inf")
            return [claim for claims in pipeline.execute() for claim in texts(claims)]

    def holds(self, key: str) -> bool:
        """Says whether a claim is on this queue."""
        return self._store.zscore(self._keys.leases(self.queue), key) is not None

    def claims_of(self, process: str) -> list[str]:
        """All claims of a process, expired or not, the youngest first."""
        claims = texts(self._store.smembers(self._keys.process_claims(token_prefix_of(process))))
        return sorted(claims, key=_age, reverse=True)

    def interrupt(self, key: str, attempt: AttemptRecord, *, state: ClaimState, counts: bool, code: str = "") -> str:
        """Gives back the job of a process that died. Returns requeued, buried, returned (it had not started) or stale.

        Args:
            state: EXPIRED if only the lease says so; otherwise the state in which a dead process left the claim.
            counts: whether it counts as one of the interruptions that make a job a dead letter.
            code: the fingerprint of the handler's source.
        """
        job_id, _, token = key.rpartition(":")
        why = packed(
            f"The process that ran this handler died {MAX_INTERRUPTIONS} times while it ran (killed, out of memory, "
            "or a handler that could not be stopped). It will not run again by itself.\n"
        )
        allowed = MAX_INTERRUPTIONS if counts else 0
        words = (attempt.as_json(), why, allowed, state.value, self._handler_timeout)
        failure = failure_of(attempt.error, "").packed(code)
        return text(self._run("interrupt", job_id, token, *words, failure, attempt.handler))

    def promote_due(self) -> int:
        """Queues jobs whose retry is due; returns how many."""
        return int(self._run("promote_due", DUE_AT_ONCE, self._handler_timeout))

    def _run(self, name: str, *args: Argument) -> Any:
        return self._scripts[name].run(self._store, self.queue, *args)

    def _claim(
        self,
        job_id: bytes,
        token: bytes,
        runs: int,
        spent: int,
        interruptions: int,
        event_type: bytes,
        tenant_id: bytes,
        application_ids: bytes,
        handler: bytes | None,
        body: bytes,
        key_id: bytes | None,
        committed: bytes | None,
        decision: bytes | None,
        place: bytes | None,
        is_outdated: int,
        user_id: bytes | None,
        received_ms: bytes | None,
        replays: bytes | None = None,
    ) -> Claim:
        whole_id = job_id.decode()
        return Claim(
            queue=self.queue,
            job_id=whole_id,
            token=token.decode(),
            runs=runs,
            spent=spent,
            interruptions=interruptions,
            handler_name=handler_of(whole_id) or (handler or b"").decode(),
            event_type=event_type.decode(),
            tenant_id=tenant_id.decode(),
            application_ids=application_ids.decode(),
            body=body,
            key_id=(key_id or b"").decode(),
            committed=committed is not None,
            was_transactional=decision is not None,
            place=(place or b"").decode(),
            is_outdated=bool(is_outdated),
            user_id=(user_id or b"").decode(),
            received_ms=whole_number(received_ms),
            is_replay=replays is not None,
        )


def token_prefix_of(process: str) -> str:
    """The prefix of a process's tokens: short, and without the '-' that follows it."""
    return sha1(process.encode(), usedforsecurity=False).hexdigest()[:TOKEN_PREFIX_LENGTH]


def may_start_until(sent_at: float) -> float:
    """The latest start of a claim whose lease was granted by a request sent then, on time.monotonic()."""
    return sent_at + LEASE_SECONDS - LEASE_MARGIN_SECONDS


def _age(key: str) -> tuple[int, int]:
    """A claim's age in its process: its exchange's number, and its position in that exchange."""
    number, _, position = key.rpartition(":")[2].partition("-")[2].partition("-")
    return (int(number) if number.isdigit() else 0, int(position) if position.isdigit() else 0)
