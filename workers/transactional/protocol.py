"""Claims transactions, reports their outcome, and recovers the runs of dead processes, each with one script.

A worker waits for a wake-up, which every submission sends, and then claims the first event of the queue. A wake-up that
a dying worker takes with it costs only time, because every process also checks once a second.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Argument, Script, text, texts, whole_number
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.transactional.transaction import Outcome, Transaction

# A handler is stopped at its deadline; if it cannot be stopped, its process is killed soon after.
DEAD_AFTER_MS = 10_000
RECOVERY_LIMIT = 100
SCRIPT_NAMES = ("txn_claim", "txn_settle", "txn_give_back", "txn_recover", "txn_bury")
_DEAD_RUN_FIELDS = 5
_UNSETTLED = b"unsettled"
_REFUSED = b"refused "  # before the code of an error


class TransactionProtocol:
    """The scripts of one worker, which claims a transaction only while it runs none. Used by one thread at a time.

    A `TransactionExchange` sends the commands of several workers together.
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
        self._last: tuple[Transaction, Outcome] | None = None
        """The last outcome, without its event: a store that fails may lose it."""

    def claim(self) -> Transaction | None:
        """Claims the next event that is in time. Also finds an earlier claim whose reply was lost."""
        sent_at = time.monotonic()
        (reply,) = self._run("txn_claim", self._process, *self.claim_arguments())
        return self.claimed(reply, sent_at)

    def give_back(self, transaction: Transaction) -> bool:
        """Returns an event of which nothing has run: another worker may start it while there is time."""
        reply = self._run("txn_give_back", *self._run_arguments(transaction))
        return bool(reply == b"done")

    def settle(self, transaction: Transaction, outcome: Outcome) -> str:
        """Returns the final outcome: this one, abandoned (too late), or stale (the run was presumed dead)."""
        (reply,) = self._run("txn_settle", *self.outcome_arguments(transaction, outcome))
        return settled(reply)

    def outcome_arguments(self, transaction: Transaction, outcome: Outcome) -> tuple[Argument, ...]:
        """The arguments of txn_settle for one run."""
        self._last = (transaction._replace(body=b""), outcome)
        return (
            *self._run_arguments(transaction),
            outcome.outcome,
            int(outcome.is_unknown),
            outcome.reason,
            outcome.undo_jobs,
            outcome.commit_jobs,
            outcome.facts,
            len(outcome.attempts),
            *(attempt.as_json() for attempt in outcome.attempts),
        )

    def claim_arguments(self) -> tuple[Argument, ...]:
        """The arguments of txn_claim for this worker."""
        last = f"{self._last[0].event_id} {self._last[0].round} {self._last[0].claim}" if self._last else ""
        # Claims are numbered by the clock: it never goes back, so no counter has to be stored.
        return (self._worker, time.monotonic_ns(), last)

    def claimed(self, reply: Any, sent_at: float, store_ms: float | None = None) -> Transaction | None:
        """Reads the reply to a claim that was sent at `sent_at` (see `_transaction`).

        Reports an outcome that was lost again, and gives back an event that is too late.

        Raises:
            ResponseError: the store cannot start the event whose turn it was.
        """
        _require_done(reply)
        if reply == _UNSETTLED and self._last:
            self.settle(*self._last)
            return self.claim()
        transaction = _transaction(reply, sent_at, store_ms)
        if transaction is None or transaction.seconds_left > 0:
            return transaction
        self.give_back(transaction)
        return None

    def _run_arguments(self, transaction: Transaction) -> tuple[Argument, ...]:
        return (transaction.event_id, transaction.round, self._worker, transaction.claim)

    def recover(self, registry: Registry, default_timeout: float) -> int:
        """Finishes overdue transactions. Returns how many orphans that made."""
        orphans, *flat = self._run("txn_recover", self._dead_after_ms, RECOVERY_LIMIT)
        count = int(orphans)
        words = texts(flat)
        for start in range(0, len(words), _DEAD_RUN_FIELDS):
            event_id, number, event_type, tenant_id, application_ids = words[start : start + _DEAD_RUN_FIELDS]
            handlers = registry.transactional_for(event_type, tenant_id, application_ids)
            attempt = AttemptRecord("", 1, datetime.now(UTC), 0, "interrupted", "the process died")
            undo = undo_jobs(handlers, default_timeout)
            count += int(self._run("txn_bury", event_id, number, self._dead_after_ms, undo, attempt.as_json()))
        return count

    def _run(self, name: str, *args: Any) -> Any:
        return self._scripts[name].run(self._store, *args)


def settled(reply: Any) -> str:
    """The final outcome of a run.

    Raises:
        ResponseError: the store cannot settle this run.
    """
    _require_done(reply)
    return text(reply)


def _require_done(reply: Any) -> None:
    """Raises what the script has reported of one of several runs."""
    if isinstance(reply, bytes) and reply.startswith(_REFUSED):
        raise redis.ResponseError(text(reply.removeprefix(_REFUSED)))


def jobs_of(handlers: Sequence[Handler], default_timeout: float) -> str:
    """Jobs of these handlers, in the format of the scripts. If one has an order, a worker chooses them: `*`."""
    if any(handler.order is not None for handler in handlers):
        return f"* {EVENTS_QUEUE} {default_timeout:g}"
    return " ".join(f"{each.name} {each.queue} {each.timeout_seconds or default_timeout:g}" for each in handlers)


def undo_jobs(handlers: Sequence[Handler], default_timeout: float) -> str:
    """The jobs of these handlers' `on_abandoned` functions, where they have one: the last effect is undone first."""
    return jobs_of([each.undo for each in reversed(handlers) if each.undo is not None], default_timeout)


def _transaction(reply: Any, sent_at: float, store_ms: float | None = None) -> Transaction | None:
    """Reads a claim's reply. The time left is measured from the moment of sending, which was `store_ms` or earlier on
    the store's clock (None: the moment of the claim). So both directions count as spent, and no run starts too late.
    """
    if reply is None:
        return None
    event_id, number, claim, deadline_ms, now_ms, record = reply
    read_at = time.monotonic()
    left_ms = int(deadline_ms) - (int(now_ms) if store_ms is None else store_ms)
    event_type, tenant_id, application_ids, body, key_id, user_id, received_ms = (value or b"" for value in record)
    return Transaction(
        event_id=text(event_id),
        round=text(number),
        seconds_left=left_ms / 1000 - (read_at - sent_at),
        event_type=text(event_type),
        tenant_id=text(tenant_id),
        application_ids=text(application_ids),
        body=body,
        key_id=text(key_id),
        claim=int(claim),
        read_at=read_at,
        user_id=text(user_id),
        received_ms=whole_number(received_ms),
    )
