"""Claims transactions, reports their outcome, and recovers the runs of dead processes, each with one script.

A worker waits for a wake-up, which every submission sends, and then claims the first event of the queue. A wake-up that
a dying worker takes with it costs only time, because every worker also checks once a second.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import NoScriptError

from surehook.shared.keys import EVENTS_QUEUE, Keys
from surehook.shared.scripts import Argument, Script, text, texts, whole_number
from surehook.workers.connection import Command, Connection
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.transactional.transaction import Outcome, Transaction

# A handler is stopped at its deadline; if it cannot be stopped, its process is killed soon after.
DEAD_AFTER_MS = 10_000
RECOVERY_LIMIT = 100
SCRIPT_NAMES = ("txn_claim", "txn_settle", "txn_give_back", "txn_recover", "txn_bury")
_DEAD_RUN_FIELDS = 5
_UNSETTLED = b"unsettled"


class TransactionProtocol:
    """The scripts of one worker, which claims a transaction only while it runs none. Used by one thread.

    Settling, waiting for a wake-up and claiming leave in one packet; the replies are read one after the other as they
    come: `send_outcome`, `read_final_outcome`, `read_claim`. After an error the next call uses a new connection.
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
        self._sent_at = self._store_ms = 0.0
        self._is_claiming = False
        self._last: tuple[Transaction, Outcome] | None = None
        """The last outcome, without its event: a store that fails may lose it."""

    def close(self) -> None:
        self._connection.close()

    def claim(self) -> Transaction | None:
        """Claims the next event that is in time. Also finds an earlier claim whose reply was lost."""
        sent_at = time.monotonic()
        return self._claimed(self._run("txn_claim", *self._claim_arguments()), sent_at)

    def wait(self, seconds: float) -> Transaction | None:
        """Claims the next event that comes within `seconds`."""
        self._send([self._wake_up(seconds), self._claim()])
        return self.read_claim()

    def give_back(self, transaction: Transaction) -> bool:
        """Returns an event of which nothing has run: another worker may start it while there is time."""
        reply = self._run("txn_give_back", *self._run_arguments(transaction))
        return bool(reply == b"done")

    def settle(self, transaction: Transaction, outcome: Outcome) -> str:
        """Returns the final outcome: this one, abandoned (too late), or stale (the run was presumed dead)."""
        self._last = (transaction._replace(body=b""), outcome)
        return text(self._run("txn_settle", *self._outcome_arguments(transaction, outcome)))

    def send_outcome(self, transaction: Transaction, outcome: Outcome, wait_seconds: float) -> None:
        """Sends the outcome, and a claim for the next event that comes within `wait_seconds`.

        Raises:
            RedisError, OSError: the store is unavailable; the outcome may have been settled.
        """
        self._last = (transaction._replace(body=b""), outcome)
        settlement = self._outcome_arguments(transaction, outcome)
        self._send([self._scripts["txn_settle"].command(settlement), self._wake_up(wait_seconds), self._claim()])

    def read_final_outcome(self, transaction: Transaction, outcome: Outcome) -> str:
        """The final outcome of the settlement that was sent, as `settle` returns it.

        Raises:
            RedisError, OSError: the store is unavailable; the outcome may have been settled.
        """
        try:
            return text(self._read())
        except NoScriptError:  # the rest of the packet was lost with the connection
            self._is_claiming = False
            return self.settle(transaction, outcome)

    def read_claim(self) -> Transaction | None:
        """The claim that was sent last."""
        if not self._is_claiming:
            return self.claim()
        try:
            self._read()  # the wake-up, or none in time: the claim follows either way
            reply = self._read()
        except NoScriptError:
            return self.claim()
        return self._claimed(reply, self._sent_at, self._store_ms)

    def _wake_up(self, seconds: float) -> Command:
        return ("BLPOP", self._keys.wake_up, seconds)

    def _claim(self) -> Command:
        return self._scripts["txn_claim"].command(self._claim_arguments())

    def _claim_arguments(self) -> tuple[Argument, ...]:
        last = f"{self._last[0].event_id} {self._last[0].round} {self._last[0].claim}" if self._last else ""
        # Claims are numbered by the clock: it never goes back, so no counter has to be stored.
        return (self._worker, self._process, time.monotonic_ns(), last)

    def _claimed(self, reply: Any, sent_at: float, store_ms: float | None = None) -> Transaction | None:
        if reply == _UNSETTLED and self._last:
            self.settle(*self._last)
            return self.claim()
        transaction = _transaction(reply, sent_at, store_ms)
        if transaction is None or transaction.seconds_left > 0:
            return transaction
        self.give_back(transaction)
        return None

    def _send(self, commands: Sequence[Command]) -> None:
        """Sends the commands in one packet, after TIME: a claim at the end runs after an unknown wait."""
        try:
            self._sent_at = time.monotonic()
            self._connection.send([("TIME",), *commands])
        except BaseException:
            self._connection.close()
            raise
        seconds, micros = self._read()
        self._store_ms = int(seconds) * 1000 + int(micros) / 1000
        self._is_claiming = True

    def _read(self) -> Any:
        try:
            return self._connection.read()
        except BaseException:
            self._connection.close()
            raise

    def _run_arguments(self, transaction: Transaction) -> tuple[Argument, ...]:
        return (transaction.event_id, transaction.round, self._worker, transaction.claim)

    def _outcome_arguments(self, transaction: Transaction, outcome: Outcome) -> tuple[Argument, ...]:
        return (
            *self._run_arguments(transaction),
            outcome.outcome,
            int(outcome.is_unknown),
            outcome.reason,
            outcome.undo_jobs,
            outcome.commit_jobs,
            outcome.facts,
            *(attempt.as_json() for attempt in outcome.attempts),
        )

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
