"""Keeps a process of the `transactional` queue available to ingest, and recovers transactions without an outcome.

It is a thread of its own, so that handlers that compute or wait cannot delay it.
"""

import logging
import time

import redis
from redis.exceptions import RedisError

from surehook.shared.heartbeat import HEARTBEAT_SECONDS, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import Script, texts
from surehook.workers.background import PeriodicThread
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.handlers.registry import Registry
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.index_facts import IndexFacts
from surehook.workers.queue.jobs_without_record import JobsWithoutRecord
from surehook.workers.rq_worker import RQWorkers
from surehook.workers.transactional.protocol import TransactionProtocol

log = logging.getLogger(__name__)


class TransactionalHeartbeat(PeriodicThread):
    """One per process. A heartbeat expires after three seconds; then ingest no longer waits for this process."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        rq_workers: RQWorkers,
        transactions: TransactionProtocol,
        registry: Registry,
        message: HeartbeatMessage,
        missing_key: MissingKey,
        claims: Claims,
        index_facts: IndexFacts,
        *,
        handler_timeout: float,
    ) -> None:
        super().__init__("heartbeat", HEARTBEAT_SECONDS)
        self._store = store
        self._rq_workers = rq_workers
        self._transactions = transactions
        self._registry = registry
        self._message = message
        self._missing_key = missing_key
        self._claims = claims
        self._index_facts = index_facts
        self._without_record = JobsWithoutRecord(TRANSACTIONAL_QUEUE)
        self._handler_timeout = handler_timeout
        self._heartbeat, self._deregister = Script("heartbeat", keys), Script("deregister", keys)
        self._is_available, self._is_leaving = True, False

    def tick(self) -> None:
        was_available, self._is_available = self._is_available, not (self._missing_key.is_missing or self._is_leaving)
        if was_available and not self._is_available:
            # Deregistered at once, so that ingest does not count on this process until its last heartbeat expires.
            self._deregister.run(self._store, *self._message.deregister)
        message = self._message.available if self._is_available else self._message.unavailable
        self._message.compare(texts(self._heartbeat.run(self._store, *message)))
        self._rq_workers.keep_alive(time.monotonic())  # before the recovery, whose failure must not make RQ forget us
        if orphans := self._transactions.recover(self._registry, self._handler_timeout):
            log.error("transactional effects orphaned", extra={"count": orphans})
        # No transaction is ever scheduled: what is due here are the jobs that `txn_claim` has put aside.
        self._without_record.report(self._claims.promote_due())
        self._index_facts.load_key()

    def leave(self) -> None:
        """Become unavailable; runs in progress continue, and so do heartbeats."""
        self._is_leaving = True
        self.tick_soon()

    def stop(self) -> None:
        """Stop the heartbeat and deregister, so that ingest no longer waits for this process."""
        super().stop()
        self.join()
        try:
            self._deregister.run(self._store, *self._message.deregister)
        except (RedisError, OSError) as exc:
            log.warning("store unavailable at exit", extra={"error_type": type(exc).__name__})
