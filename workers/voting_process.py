"""A worker process of the queue `transactional`: registered with RQ, beating, one transaction at a time."""

import logging
import signal
import threading
import time
from typing import Any, cast

import redis
from redis.exceptions import RedisError

from shared.alive import BEAT_SECONDS, WORKER, Pulse
from shared.keys import TRANSACTIONAL_QUEUE, Keys
from shared.replies import texts
from shared.scripts import Script
from shared.settings import Settings
from shared.store import connect
from shared.transactional import transactional_types
from shared.vault import Vault
from workers.claims import Claims
from workers.dispatch import Dispatcher
from workers.metrics import WorkerMetrics
from workers.registry import Registry
from workers.transactions import Transactions
from workers.voting import Voting
from workers.worker import SUSPENDED_SECONDS, Worker

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
# Longer than the blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 2.5
CONNECT_AGAIN_SECONDS = 0.2
REGISTER_EVERY_SECONDS = 3.0


class VotingWorker(Worker):
    """An RQ worker to everything that looks at it; its turn is ours."""

    def __init__(self, store: redis.Redis, name: str, claims: Claims, voting: Voting) -> None:
        super().__init__(store, TRANSACTIONAL_QUEUE, name, claims, cast(Any, voting))
        self._voting = voting

    def turn(self) -> None:
        if self._voting.lacking.holds():
            self._pause(SUSPENDED_SECONDS)
            return
        if not self._voting.turn(WAIT_SECONDS) and self._claims.is_paused():
            self._pause(SUSPENDED_SECONDS)  # the wait would return at once while events wait


class Heart(threading.Thread):
    """Beats, registers again and looks after the forgotten, so that a handler that computes cannot stop it."""

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        worker: Worker,
        transactions: Transactions,
        registry: Registry,
        pulse: Pulse,
        handler_timeout: float,
    ) -> None:
        super().__init__(name="heart", daemon=True)
        self._store = store
        self._worker = worker
        self._transactions = transactions
        self._registry = registry
        self._pulse = pulse
        self._handler_timeout = handler_timeout
        self._beat, self._still = Script("beat", keys), Script("still", keys)
        self._done = threading.Event()
        self._next_registration = time.monotonic() + REGISTER_EVERY_SECONDS

    def run(self) -> None:
        while not self._done.is_set():
            try:
                self.beat()
            except (RedisError, OSError):
                log.debug("no beat, the store is away")
            except Exception:
                log.exception("upkeep failed", extra={"queue": TRANSACTIONAL_QUEUE})
            self._done.wait(BEAT_SECONDS)

    def beat(self) -> None:
        self._pulse.hear(texts(self._beat.run(self._store, *self._pulse.beat)))
        if orphans := self._transactions.recover(self._registry, self._handler_timeout):
            log.error("handlers' effects came to nothing: orphans", extra={"count": orphans})
        if time.monotonic() >= self._next_registration:
            if not self._store.exists(self._worker.key):
                self._worker.register_birth()  # the store forgot us while it was away
            self._worker.heartbeat()
            self._worker.forget_dead_workers()
            self._next_registration = time.monotonic() + REGISTER_EVERY_SECONDS

    def stop(self) -> None:
        """Nobody shall wait for us any more."""
        self._done.set()
        self.join()
        self._still.run(self._store, *self._pulse.still)


def vote(settings: Settings, registry: Registry, name: str, stops: list[int]) -> None:
    """Run until SIGTERM, then finish what runs."""
    store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
    keys = Keys(settings.key_prefix)
    transactions = Transactions(store, keys, name, name)
    dispatcher = Dispatcher(settings.handler_timeout)
    claims = Claims(
        store,
        keys,
        TRANSACTIONAL_QUEUE,
        name,
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )
    voting = Voting(
        transactions,
        registry,
        dispatcher,
        WorkerMetrics(),
        handler_timeout=settings.handler_timeout,
        grace_seconds=settings.grace,
        vault=Vault(settings.encryption_keys),
        key_needed=claims.key_needed,
    )
    worker = VotingWorker(store, name, claims, voting)
    _register(worker, stops)
    signal.signal(signal.SIGTERM, worker.stop)
    if stops:  # it came before the worker was there to hear it
        worker.stop()
    pulse = Pulse(WORKER, name, transactional_types(settings.transactional_events), TRANSACTIONAL_QUEUE)
    heart = Heart(store, keys, worker, transactions, registry, pulse, settings.handler_timeout)
    heart.start()
    log.info("worker takes events", extra={"queue": TRANSACTIONAL_QUEUE})
    worker.work()
    dispatcher.close()
    try:
        heart.stop()
        worker.register_death()
    except (RedisError, OSError) as exc:
        log.warning("store is away at the end", extra={"error_type": type(exc).__name__})


def _register(worker: Worker, stops: list[int]) -> None:
    failures = 0
    while not stops:
        try:
            worker.register_birth()
        except (RedisError, OSError) as exc:
            if not failures:
                facts = {"queue": TRANSACTIONAL_QUEUE, "error_type": type(exc).__name__}
                log.warning("store is away, waiting", extra=facts)
            failures += 1
            time.sleep(CONNECT_AGAIN_SECONDS)
        else:
            return
