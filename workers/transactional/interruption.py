"""Ends the transactional run of a process that has died: nothing can have an effect in it any more.

The supervisor of the process reports the death. Without a supervisor, the run is presumed dead some time after its
deadline, and its effects are undone then; but a process that is only suspended may have an effect later. So a run that
was undone is undone again when its death is certain.
"""

import logging
from datetime import UTC, datetime

import redis

from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.workers.execution.attempts import AttemptRecord
from surehook.workers.handlers.registry import Registry
from surehook.workers.transactional.protocol import TransactionProtocol, undo_jobs
from surehook.workers.transactional.transaction import Outcome, Transaction

log = logging.getLogger(__name__)


def run_key(transaction: Transaction) -> str:
    """Names a run in a slot, for the supervisor."""
    return f"{transaction.event_id}:{transaction.round}:{transaction.claim}"


def end_run(
    store: redis.Redis,
    keys: Keys,
    registry: Registry,
    worker: str,
    process: str,
    key: str,
    *,
    has_started: bool,
    handler_timeout: float,
) -> bool:
    """End the run of a dead process. Returns whether its handlers may have had an effect that the store did not know.

    A run whose handlers had not started is given back: another worker may run them while there is time.
    """
    event_id, number, claim = key.split(":")
    transaction = Transaction(event_id, number, 0, "", "", "", b"", claim=int(claim))
    protocol = TransactionProtocol(store, keys, worker, process)
    if not has_started:
        protocol.give_back(transaction)
        return False
    subject = texts(store.hmget(keys.event(event_id), "type", "tenant", "application"))
    undo = undo_jobs(registry.transactional_for(*subject), handler_timeout)
    attempt = AttemptRecord("", 1, datetime.now(UTC), 0, "interrupted", "the process died")
    outcome = protocol.settle(transaction, Outcome("failed", is_unknown=True, undo_jobs=undo, attempts=(attempt,)))
    if outcome in ("completed", "rejected"):
        return False  # settled before the process died
    log.error("run interrupted", extra={"event_id": event_id, "outcome": outcome})
    return True
