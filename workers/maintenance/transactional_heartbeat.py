"""The heart of a process of the queue `transactional`: it beats, and looks after transactions that were forgotten.

A thread of its own, so that a handler that computes or waits cannot stop it.
"""

import logging
import threading
import time

import redis
from redis.exceptions import RedisError

from surehook.shared.heartbeat import HEARTBEAT_SECONDS, HeartbeatMessage
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys
from surehook.shared.scripts import Script, texts
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.handlers.registry import Registry
from surehook.workers.rq_worker import RQWorkers
from surehook.workers.transactional.protocol import TransactionProtocol

log = logging.getLogger(__name__)

CREW_EVERY_SECONDS = 3.0
FORGET_EVERY_SECONDS = 10.0


class TransactionalHeartbeat(threading.Thread):
    """One per process. What it does not say for three seconds, nobody believes any more."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        crew: RQWorkers,
        transactions: TransactionProtocol,
        registry: Registry,
        pulse: HeartbeatMessage,
        lacking: MissingKey,
        *,
        handler_timeout: float,
    ) -> None:
        super().__init__(name="heart", daemon=True)
        self._store = store
        self._crew = crew
        self._transactions = transactions
        self._registry = registry
        self._pulse = pulse
        self._lacking = lacking
        self._handler_timeout = handler_timeout
        self._beat, self._still = Script("heartbeat", keys), Script("deregister", keys)
        self._done, self._wanted = threading.Event(), threading.Event()
        self._attends, self._is_leaving = True, False
        self._next_crew = self._next_forgetting = 0.0

    def run(self) -> None:
        while not self._done.is_set():
            try:
                self.beat()
            except (RedisError, OSError):
                log.debug("no beat, the store is away")
            except Exception:
                log.exception("upkeep failed", extra={"queue": TRANSACTIONAL_QUEUE})
            self._wanted.wait(HEARTBEAT_SECONDS)
            self._wanted.clear()

    def beat(self) -> None:
        # A process that lacks a key, or takes no more, lives, but nobody shall wait for it: from now on, not from when
        # its last beat is forgotten.
        attends = not (self._lacking.is_missing or self._is_leaving)
        if self._attends and not attends:
            self._still.run(self._store, *self._pulse.deregister)
        self._attends = attends
        beat = self._pulse.available if self._attends else self._pulse.unavailable
        self._pulse.compare(texts(self._beat.run(self._store, *beat)))
        if orphans := self._transactions.recover(self._registry, self._handler_timeout):
            log.error("handlers' effects came to nothing: orphans", extra={"count": orphans})
        now = time.monotonic()
        if now >= self._next_crew:
            self._crew.heartbeat()
            self._next_crew = now + CREW_EVERY_SECONDS
        if now >= self._next_forgetting:
            self._crew.forget_dead_workers()
            self._next_forgetting = now + FORGET_EVERY_SECONDS

    def leave(self) -> None:
        """Nothing is taken any more; what runs goes on, and so does the beat."""
        self._is_leaving = True
        self._wanted.set()

    def stop(self) -> None:
        """Nobody shall wait for us any more."""
        self._done.set()
        self._wanted.set()
        self.join()
        try:
            self._still.run(self._store, *self._pulse.deregister)
        except (RedisError, OSError) as exc:
            log.warning("store is away at the end", extra={"error_type": type(exc).__name__})
