"""The worker's side of a transaction: claim, settle, and looking after runs whose process died. Each is one script.

Workers wait at a bell that every submission rings, and then take what is first in the queue. A ring that is lost in the
hands of a worker that dies costs time only, for every worker also looks once a second.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import NoScriptError

from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import Argument, Script, text, texts
from surehook.workers.connection import Command, Connection
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Handler, Registry

# A handler is stopped at its deadline, and its process soon after when it cannot be stopped.
DEAD_AFTER_MS = 10_000
RECOVER_AT_ONCE = 100
SCRIPT_NAMES = ("txn_claim", "txn_settle", "txn_give_back", "txn_recover", "txn_bury")
_DEAD_RUN_FIELDS = 5

Sent = tuple[float, float]  # when a packet left, on our clock (s), and then, or soon after, on the store's (ms)


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
    claim: int = 0
    """The number of the claim that started it: whatever is said of the run carries it."""
    read_at: float = field(default_factory=time.monotonic)
    """When so many seconds were left."""
    queue: str = TRANSACTIONAL_QUEUE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the handlers said, and who has to be told of what follows from it."""

    outcome: str
    """completed, rejected or failed."""
    reason: str = ""
    is_unknown: bool = False
    """A handler was cut off, and nobody knows what it did."""
    undo: str = ""
    facts: str = ""
    attempts: tuple[AttemptRecord, ...] = ()


class TransactionProtocol:
    """The scripts of one worker, which asks for a transaction only when it runs none. Used by one thread.

    What a worker has to say and what it waits for leave together: it settles, waits at the bell and claims in one trip,
    whose replies come as they are known.
    """

    def __init__(
        self, store: redis.Redis, keys: Keys, worker: str, process: str, *, dead_after_ms: int = DEAD_AFTER_MS
    ) -> None:
        self._store = store
        self._keys = keys
        self._worker = worker
        self._process = process
        self._dead_after_ms = dead_after_ms
        self._scripts = {name: Script(name, keys) for name in SCRIPT_NAMES}
        self._connection = Connection(store)

    def close(self) -> None:
        self._connection.close()

    def claim(self) -> Transaction | None:
        """Start the next one that is in time. Also finds the claim whose reply was lost."""
        sent_at = time.monotonic()
        return self._unless_late(_transaction(self._run("txn_claim", *self._claiming("")), sent_at))

    def wait(self, seconds: float) -> Transaction | None:
        """Start the next one that comes within so many seconds."""
        try:
            return self._talk([self._bell(seconds), self._claim("")], self._take_claim)
        except NoScriptError:
            return self.claim()

    def give_back(self, transaction: Transaction) -> bool:
        """Nothing has run: another worker may start it while there is time."""
        reply = self._run("txn_give_back", *self._which(transaction))
        return bool(reply == b"done")

    def settle(self, transaction: Transaction, verdict: Outcome) -> str:
        """What stands now: the verdict's outcome, abandoned (too late), or stale (the run was given up for dead)."""
        return text(self._run("txn_settle", *self._settlement(transaction, verdict)))

    def settle_and_wait(
        self,
        transaction: Transaction,
        verdict: Outcome,
        seconds: float,
        told: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Transaction | None:
        """Both in one trip; `meanwhile` is called when all is sent, `told` once, with what stands, when that is known.

        Raises:
            RedisError, OSError: the store is away. If `told` was not called, it is not known whether this was settled.
        """
        settlement = self._settlement(transaction, verdict)
        settled = f"{transaction.event_id} {transaction.round} {transaction.claim}"
        has_told = False

        def take(sent: Sent) -> Transaction | None:
            nonlocal has_told
            meanwhile()
            stands = text(self._read())
            has_told = True
            told(stands)
            return self._take_claim(sent)

        commands = [self._scripts["txn_settle"].command(settlement), self._bell(seconds), self._claim(settled)]
        try:
            return self._talk(commands, take)
        except NoScriptError:  # whatever else was under way has gone with the connection
            if not has_told:
                told(self.settle(transaction, verdict))
            return self.claim()

    def _bell(self, seconds: float) -> Command:
        return ("BLPOP", self._keys.wake_up, seconds)

    def _claim(self, settled: str) -> Command:
        return self._scripts["txn_claim"].command(self._claiming(settled))

    def _claiming(self, settled: str) -> tuple[Argument, ...]:
        # The clock numbers claims: it goes on where another one by this name stopped, and costs no memory anywhere.
        return (self._worker, self._process, time.monotonic_ns(), settled)

    def _take_claim(self, sent: Sent) -> Transaction | None:
        self._read()  # whether the bell rang: who waited in vain looks all the same
        return _transaction(self._read(), *sent)

    def _unless_late(self, transaction: Transaction | None) -> Transaction | None:
        if transaction is None or transaction.seconds_left > 0:
            return transaction
        self.give_back(transaction)
        return None

    def _talk(self, commands: Sequence[Command], take: Callable[[Sent], Transaction | None]) -> Transaction | None:
        """Send these in one packet, and let `take` read the replies. After an error the next call connects anew.

        The store says first what time it is: when the claim at the end was made nobody could tell otherwise.
        """
        try:
            sent_at = time.monotonic()
            self._connection.send([("TIME",), *commands])
            seconds, micros = self._read()
            transaction = take((sent_at, int(seconds) * 1000 + int(micros) / 1000))
        except BaseException:
            self._connection.invalidate()
            raise
        return self._unless_late(transaction)

    def _read(self) -> Any:
        return self._connection.read()

    def _which(self, transaction: Transaction) -> tuple[Argument, ...]:
        return (transaction.event_id, transaction.round, self._worker, transaction.claim)

    def _settlement(self, transaction: Transaction, verdict: Outcome) -> tuple[Argument, ...]:
        return (
            *self._which(transaction),
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
            handlers = registry.transactional_for(event_type, tenant_id, application_id)
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


def _transaction(reply: Any, sent_at: float, then_ms: float | None = None) -> Transaction | None:
    """Time counts from when it was asked for, which was `then_ms` or earlier on the store's clock (None: the claim's
    instant). So the way there counts as passed, and so does the way back: nothing may start after its deadline.
    """
    if reply is None:
        return None
    event_id, number, claim, deadline_ms, now_ms, record = reply
    read_at = time.monotonic()
    left_ms = int(deadline_ms) - (int(now_ms) if then_ms is None else then_ms)
    event_type, tenant_id, application_id, body, key_id = (value or b"" for value in record)
    return Transaction(
        event_id=text(event_id),
        round=text(number),
        seconds_left=left_ms / 1000 - (read_at - sent_at),
        event_type=text(event_type),
        tenant_id=text(tenant_id),
        application_id=text(application_id),
        body=body,
        key_id=text(key_id),
        claim=int(claim),
        read_at=read_at,
    )
