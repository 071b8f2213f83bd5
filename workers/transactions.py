"""The worker's side of a transaction: claim, settle, and looking after runs whose process died. Each is one script.

The queue is popped by whoever waits for it, without a lease: an event that is lost in the hands of a worker that dies
before it claims was never started, and its sender is told so at the deadline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import NoScriptError

from shared.keys import RQ_SUSPENDED, TRANSACTIONAL_QUEUE, Keys, rq_queue
from shared.replies import text, texts
from shared.scripts import Argument, Script
from workers.registry import Handler, Registry
from workers.settlements import AttemptRecord

# A handler is stopped at its deadline, and its process soon after when it cannot be stopped.
DEAD_AFTER_MS = 10_000
RECOVER_AT_ONCE = 100
SCRIPT_NAMES = ("txn_claim", "txn_settle", "txn_give_back", "txn_recover", "txn_bury")
_DEAD_RUN_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Transaction:
    """An event whose sender waits for what its handlers say."""

    event_id: str
    round: str
    seconds_left: float
    event_type: str
    tenant_id: str
    application_id: str
    body: bytes
    key_id: str = ""
    """The fingerprint of the key the body is encrypted with; "" if it is plain."""
    queue: str = TRANSACTIONAL_QUEUE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the handlers said, and who has to be told of what follows from it."""

    outcome: str
    """completed, rejected or failed."""
    reason: str = ""
    is_unknown: bool = False
    """A handler was cut off, and nobody knows what it did."""
    undo: str = ""
    facts: str = ""
    attempts: tuple[AttemptRecord, ...] = ()


class Transactions:
    """The scripts of one worker, which asks for a transaction only when it runs none."""

    def __init__(
        self, store: redis.Redis, keys: Keys, worker: str, process: str, *, dead_after_ms: int = DEAD_AFTER_MS
    ) -> None:
        self._store = store
        self._keys = keys
        self._worker = worker
        self._process = process
        self._dead_after_ms = dead_after_ms
        self._scripts = {name: Script(name, keys) for name in SCRIPT_NAMES}

    def wait(self, seconds: float) -> str:
        """Block until an event comes, and take its id off the queue; "" for none."""
        popped: Any = self._store.blpop([rq_queue(TRANSACTIONAL_QUEUE)], seconds)
        return text(popped[1]) if popped else ""

    def is_held_back(self) -> bool:
        """By `surehook queues pause`, or by RQ's own `rq suspend`."""
        return bool(self._store.sismember(self._keys.paused, TRANSACTIONAL_QUEUE) or self._store.exists(RQ_SUSPENDED))

    def claim(self, event_id: str = "") -> Transaction | None:
        """Start this event, or the next one that is in time. Also finds the claim whose reply was lost."""
        return _transaction(self._run("txn_claim", event_id, self._worker, self._process, ""))

    def give_back(self, transaction: Transaction) -> bool:
        """Nothing has run: another worker may start it while there is time."""
        reply = self._run("txn_give_back", transaction.event_id, transaction.round, self._worker)
        return bool(reply == b"done")

    def settle(self, transaction: Transaction, verdict: Verdict) -> str:
        """What stands now: the verdict's outcome, abandoned (too late), or stale (the run was given up for dead)."""
        return text(self._run("txn_settle", *self._settlement(transaction, verdict)))

    def settle_and_claim(self, transaction: Transaction, verdict: Verdict) -> tuple[str, Transaction | None]:
        """In one trip, so that a queue is worked off at a trip each."""
        settle, claim = self._scripts["txn_settle"], self._scripts["txn_claim"]
        pipeline: Any = self._store.pipeline(transaction=False)
        pipeline.execute_command(*settle.command(self._settlement(transaction, verdict)))
        settled = f"{transaction.event_id} {transaction.round}"
        pipeline.execute_command(*claim.command(("", self._worker, self._process, settled)))
        stands, following = pipeline.execute(raise_on_error=False)
        if isinstance(stands, NoScriptError):
            return self.settle(transaction, verdict), None
        for reply in (stands, following):
            if isinstance(reply, Exception) and not isinstance(reply, NoScriptError):
                raise reply
        return text(stands), None if isinstance(following, NoScriptError) else _transaction(following)

    def _settlement(self, transaction: Transaction, verdict: Verdict) -> tuple[Argument, ...]:
        return (
            transaction.event_id,
            transaction.round,
            self._worker,
            verdict.outcome,
            int(verdict.is_unknown),
            verdict.reason,
            verdict.undo,
            verdict.facts,
            *(attempt.as_json() for attempt in verdict.attempts),
        )

    def recover(self, registry: Registry, default_timeout: float) -> int:
        """Look after what others have forgotten; returns how many orphans that made."""
        orphans, *flat = self._run("txn_recover", self._dead_after_ms, RECOVER_AT_ONCE)
        found = int(orphans)
        words = texts(flat)
        for start in range(0, len(words), _DEAD_RUN_FIELDS):
            event_id, number, event_type, tenant_id, application_id = words[start : start + _DEAD_RUN_FIELDS]
            handlers = registry.voting(event_type, tenant_id, application_id)
            attempt = AttemptRecord("", 1, datetime.now(UTC), 0, "interrupted", "the process died")
            found += int(
                self._run(
                    "txn_bury",
                    event_id,
                    number,
                    self._dead_after_ms,
                    undo_parts(handlers, default_timeout),
                    attempt.as_json(),
                )
            )
        return found

    def _run(self, name: str, *args: Any) -> Any:
        return self._scripts[name].run(self._store, *args)


def parts_of(handlers: Sequence[Handler], default_timeout: float) -> str:
    """Jobs to make, as the scripts take them."""
    return " ".join(f"{each.name} {each.queue} {each.timeout_seconds or default_timeout:g}" for each in handlers)


def undo_parts(handlers: Sequence[Handler], default_timeout: float) -> str:
    """The jobs of these handlers' `on_abandoned` functions, where they have one."""
    return parts_of([each.undo for each in handlers if each.undo is not None], default_timeout)


def _transaction(reply: Any) -> Transaction | None:
    if reply is None:
        return None
    event_id, number, left_ms, flat = reply
    record = dict(zip(flat[::2], flat[1::2], strict=True))
    return Transaction(
        event_id=text(event_id),
        round=text(number),
        seconds_left=int(left_ms) / 1000,
        event_type=text(record[b"type"]),
        tenant_id=text(record[b"tenant"]),
        application_id=text(record[b"application"]),
        body=record.get(b"body", b""),
        key_id=text(record.get(b"key_id", b"")),
    )
