"""One worker on one queue: an RQ worker to everything that looks at it, with our own loop inside."""

import logging
import os
import socket
import time
from typing import Any

import redis
from redis.exceptions import RedisError
from rq.suspension import is_suspended
from rq.worker import BaseWorker
from rq.worker_registration import clean_worker_registry

from shared.backoff import pause_seconds
from shared.keys import rq_queue
from workers.claims import Claim, Claims
from workers.handling import Handling

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
SUSPENDED_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 2.0
FLAG_SECONDS = 0.1
RQ_WORKER_TTL_SECONDS = 30


class Worker(BaseWorker):  # type: ignore[misc]
    """Registration, `rq info` and suspension are RQ's; taking, running and settling are ours."""

    def __init__(self, store: redis.Redis, queue: str, name: str, claims: Claims, handling: Handling) -> None:
        # prepare_for_work asks the store for our address; a worker must come to be while the store is away.
        super().__init__(
            [queue],
            name=name,
            connection=store,
            serializer="json",
            worker_ttl=RQ_WORKER_TTL_SECONDS,
            prepare_for_work=False,
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._queue = queue
        self._claims = claims
        self._handling = handling
        self._is_stopping = False
        self._claim: Claim | None = None

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        return connection  # RQ would raise the socket's timeout to minutes: a silent store must be noticed

    def register_birth(self) -> None:
        """Also once more: after a lost reply, or when the store forgot us while it was away."""
        self.connection.delete(self.key)  # RQ refuses a name that is there already; ours is ours alone
        super().register_birth()

    def forget_dead_workers(self) -> None:
        """Take workers whose key has expired off RQ's lists."""
        clean_worker_registry(self.queues[0])

    def stop(self, *_: Any) -> None:
        """Take no more. Fit for a signal handler: it sets a flag and takes no lock (nor an Event's)."""
        self._is_stopping = True
        self._handling.hurry()

    @property
    def current(self) -> Claim | None:
        """The claim to keep alive; for the upkeep's thread."""
        return self._claim

    def lose(self, claim: Claim) -> None:
        """The lease was taken over while the handler runs."""
        self._handling.lose(claim)

    def work(self) -> None:
        """Take and run until told to stop. A store that is away is waited for."""
        failures = 0
        while not self._is_stopping:
            try:
                self.turn()
                if failures:
                    log.info("store is back", extra={"queue": self._queue})
                failures = 0
            except (RedisError, OSError) as exc:
                if not failures:
                    facts = {"queue": self._queue, "error_type": type(exc).__name__}
                    log.warning("store is away, waiting", extra=facts)
                self._pause(pause_seconds(failures, first_seconds=0.2, longest_seconds=LONGEST_BACKOFF_SECONDS))
                failures += 1

    def turn(self) -> None:
        """Take one job and run it, or wait a little for one to come."""
        if is_suspended(self.connection):
            self._pause(SUSPENDED_SECONDS)
            return
        if self._handling.lacking.holds():
            self._pause(SUSPENDED_SECONDS)
            return
        claim = self._claims.claim()
        if claim is None and self._claims.is_paused():
            self._pause(SUSPENDED_SECONDS)  # the wait below would return at once while jobs wait
            return
        if claim is None:
            # Waits without taking: the head goes back where it was, so a client that dies here holds nothing.
            key = rq_queue(self._queue)
            self.connection.blmove(key, key, WAIT_SECONDS, "LEFT", "LEFT")
            return
        self._claim = claim
        try:
            self._handling.handle(claim)
        finally:
            self._claim = None

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_stopping and time.monotonic() < until:
            time.sleep(FLAG_SECONDS)


def forget_worker(store: redis.Redis, name: str, queue: str) -> None:
    """Take a worker that was killed off RQ's lists at once, instead of when its key expires."""
    key = f"{BaseWorker.redis_worker_namespace_prefix}{name}"
    store.srem("rq:workers", key)
    store.srem(f"rq:workers:{queue}", key)
    store.delete(key, f"{key}:executions")
