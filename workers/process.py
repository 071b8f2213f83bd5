"""A worker process: started by the pool, one queue, one handler at a time."""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

from redis.exceptions import RedisError

from shared.errors import Misconfigured
from shared.keys import TRANSACTIONAL_QUEUE, Keys
from shared.log import set_up_logging
from shared.processes import stop_with_parent
from shared.settings import Settings, load_settings
from shared.store import connect
from shared.transactional import transactional_types
from shared.vault import Vault
from workers.agreement import refuse_disagreement
from workers.claims import Claims
from workers.dispatch import Dispatcher
from workers.handling import Handling
from workers.loader import load_handlers
from workers.metrics import WorkerMetrics
from workers.registry import Registry
from workers.steadiness import Steadiness
from workers.sweep import Sweep, Sweeper
from workers.upkeep import Upkeep
from workers.voting_process import vote
from workers.worker import Worker

log = logging.getLogger(__name__)

# Longer than the worker's blocking wait, short enough to notice a store that fell silent.
STORE_TIMEOUT_SECONDS = 4.0
CONNECT_AGAIN_SECONDS = 0.5
# EX_CONFIG of sysexits.h: a status that no handler ends our process with by accident.
EX_MISCONFIGURED = 78


def main() -> int:
    """Run until SIGTERM, then finish what runs. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="workers.process")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with_parent()
    try:
        settings = load_settings()
        set_up_logging(settings.log_level, settings.log_format)
        registry = load_handlers(settings.handlers, Path.cwd())
        if arguments.queue == TRANSACTIONAL_QUEUE:
            refuse_disagreement(registry, transactional_types(settings.transactional_events))
    except Misconfigured as exc:
        sys.stderr.write(f"{exc}\n")
        return EX_MISCONFIGURED
    try:
        if arguments.queue == TRANSACTIONAL_QUEUE:
            vote(settings, registry, arguments.name, stops)
        else:
            _work(settings, registry, arguments.queue, arguments.name, stops)
    except Exception:
        # The log says where, without the words: an error's text may quote an event.
        log.exception("worker process broke", extra={"queue": arguments.queue})
        return 1
    return 0


def _work(settings: Settings, registry: Registry, queue: str, name: str, stops: list[int]) -> None:
    store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
    keys = Keys(settings.key_prefix)
    claims = Claims(
        store,
        keys,
        queue,
        name,
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )
    dispatcher = Dispatcher(settings.handler_timeout)
    metrics = WorkerMetrics()
    vault = Vault(settings.encryption_keys)
    handling = Handling(claims, registry, dispatcher, metrics, queue=queue, grace_seconds=settings.grace, vault=vault)
    worker = Worker(store, queue, name, claims, handling)
    _register(worker, queue, stops)
    signal.signal(signal.SIGTERM, worker.stop)
    if stops:  # it came before the worker was there to hear it
        worker.stop()
    upkeep = Upkeep(store, keys, worker, claims, registry, metrics, queue, Steadiness())
    upkeep.start()
    sweep = Sweep(store, keys, registry.queues, handler_timeout=settings.handler_timeout)
    sweeper = Sweeper(sweep, metrics)
    sweeper.start()
    log.info("worker takes events", extra={"queue": queue})
    worker.work()
    upkeep.stop()
    sweeper.stop()
    dispatcher.close()
    try:
        worker.register_death()
    except (RedisError, OSError) as exc:
        # RQ forgets the worker by itself when its key expires.
        log.warning("store is away at the end", extra={"error_type": type(exc).__name__})


def _register(worker: Worker, queue: str, stops: list[int]) -> None:
    failures = 0
    while not stops:
        try:
            worker.register_birth()
        except (RedisError, OSError) as exc:
            if not failures:
                facts = {"queue": queue, "error_type": type(exc).__name__}
                log.warning("store is away, waiting", extra=facts)
            failures += 1
            time.sleep(CONNECT_AGAIN_SECONDS)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
