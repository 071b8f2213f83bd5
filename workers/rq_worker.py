"""RQ's view of a worker process: as many RQ workers as handlers may run at once, registered and alive for its tools.

RQ itself is not imported: it reads the prefix of its keys from the environment when it is imported, and a handler that
uses RQ for jobs of its own must find its own prefix there. A test compares these keys with those of RQ's workers.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import redis
from redis.exceptions import OutOfMemoryError, RedisError

from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.store_report import StoreReport

log = logging.getLogger(__name__)

REGISTRATION = "registration"
TTL_SECONDS = 90  # as rq_jobs.lua has it
TTL_OF_ENDED_SECONDS = 60  # as RQ has it
CONNECT_AGAIN_SECONDS = 0.2
LAST_WORDS_SECONDS = 1.0
HEARTBEAT_EVERY_SECONDS = 3.0
FORGET_EVERY_SECONDS = 10.0


class RQWorkers:
    """The RQ workers of one process, registered and kept alive together.

    `before_heartbeat` is called before the registration and each heartbeat; it may raise to prevent them.
    """

    def __init__(
        self,
        store: redis.Redis,
        keys: Keys,
        queue: str,
        names: list[str],
        before_heartbeat: Callable[[], None] = lambda: None,
        limited: Iterable[str] = (),
    ) -> None:
        self._store = store
        queues = (queue, *limited)
        self._registries = (keys.rq_workers, *map(keys.rq_workers_of, queues))
        self._queue, self._queues = queue, ",".join(queues)
        self._workers = [keys.rq_worker(name) for name in names]
        self._before_heartbeat = before_heartbeat
        self._next_heartbeat = self._next_forgetting = 0.0

    def register(self) -> None:
        """Registers all workers; safe to repeat after a lost reply, or after the store lost its data."""
        self._before_heartbeat()
        facts = _facts(self._queues)
        with self._store.pipeline() as pipeline:
            for worker in self._workers:
                pipeline.delete(worker)
                pipeline.hset(worker, mapping=facts)
                pipeline.expire(worker, TTL_SECONDS)
            for registry in self._registries:
                pipeline.sadd(registry, *self._workers)
            pipeline.execute()

    def register_when_available(self, stops: list[int], report: StoreReport) -> bool:
        """Waits for the store. False: told to stop before it could be reached."""
        while not stops:
            try:
                self.register()
            except OutOfMemoryError:
                log.warning("store is full, RQ's tools do not show this worker yet", extra={"queue": self._queue})
                return True  # its work makes room again
            except (RedisError, OSError) as exc:
                report.failed(REGISTRATION, exc)
                time.sleep(CONNECT_AGAIN_SECONDS)
            else:
                report.succeeded(REGISTRATION)
                return True
        return False

    def keep_alive(self, now: float) -> None:
        """Renew the registrations when that is due, and forget workers that no longer do."""
        if now >= self._next_heartbeat:
            self.heartbeat()
            self._next_heartbeat = now + HEARTBEAT_EVERY_SECONDS
        if now >= self._next_forgetting:
            self.forget_dead_workers()
            self._next_forgetting = now + FORGET_EVERY_SECONDS

    def heartbeat(self) -> None:
        self._before_heartbeat()
        try:
            if self._store.exists(*self._workers) < len(self._workers):
                self.register()
            with self._store.pipeline(transaction=False) as pipeline:
                for worker in self._workers:
                    pipeline.hset(worker, "last_heartbeat", _now())
                    pipeline.expire(worker, TTL_SECONDS)
                    pipeline.expire(_executions(worker), TTL_SECONDS)
                pipeline.execute()
        except OutOfMemoryError:
            # Only RQ's tools need this: it must not stop the worker from emptying a full store.
            log.debug("store is full, no heartbeat for RQ's tools", extra={"queue": self._queue})

    def unregister(self) -> None:
        with self._store.pipeline() as pipeline:
            for registry in self._registries:
                pipeline.srem(registry, *self._workers)
            for worker in self._workers:
                pipeline.hset(worker, "death", _now())
                pipeline.expire(worker, TTL_OF_ENDED_SECONDS)
                pipeline.delete(_executions(worker))
            pipeline.execute()

    def forget_dead_workers(self) -> None:
        """Removes workers whose key has expired from RQ's lists."""
        known: Any = self._store.smembers(self._registries[1])
        workers = texts(known)
        with self._store.pipeline(transaction=False) as pipeline:
            for worker in workers:
                pipeline.exists(worker)
            dead = [worker for worker, is_there in zip(workers, pipeline.execute(), strict=True) if not is_there]
        if dead:
            for registry in self._registries:
                self._store.srem(registry, *dead)

    def remove(self) -> None:
        """Removes the workers of a killed process immediately, instead of when their keys expire."""
        for registry in self._registries:
            self._store.srem(registry, *self._workers)
        self._store.delete(*self._workers, *map(_executions, self._workers))


def unregister(settings: Settings, queue: str, names: list[str], limited: Iterable[str] = ()) -> None:
    """Unregisters a process that ends, on a connection of its own with a short timeout."""
    try:
        with connect(settings, timeout_seconds=LAST_WORDS_SECONDS) as store:
            RQWorkers(store, Keys(settings.key_prefix), queue, names, limited=limited).unregister()
    except (RedisError, OSError) as exc:
        # RQ forgets the workers when their keys expire.
        log.warning("store unavailable at exit", extra={"error_type": type(exc).__name__})


def worker_names(process: str, threads: int) -> list[str]:
    return [f"{process}.{number}" for number in range(1, threads + 1)]


def _facts(queues: str) -> dict[Any, Any]:
    """The fields of a worker's hash, as RQ writes them."""
    now = _now()
    return {
        "birth": now,
        "last_heartbeat": now,
        "queues": queues,
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
        "ip_address": "unknown",
        "version": version("rq"),
        "python_version": sys.version,
        "state": "idle",
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _executions(worker: str) -> str:
    return f"{worker}:executions"
