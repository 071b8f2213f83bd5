"""RQ's view of a worker process: each handler thread is one RQ worker, registered and alive for RQ's tools."""

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import OutOfMemoryError, RedisError
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import clean_worker_registry

from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.store_report import StoreReport

log = logging.getLogger(__name__)

REGISTRATION = "registration"
RQ_WORKER_TTL_SECONDS = 30
CONNECT_AGAIN_SECONDS = 0.2
LAST_WORDS_SECONDS = 1.0
HEARTBEAT_EVERY_SECONDS = 3.0
FORGET_EVERY_SECONDS = 10.0


class Worker(BaseWorker):  # type: ignore[misc]
    """An RQ worker for registration and `rq info` only; RQ fetches and runs nothing with it."""

    def __init__(self, store: redis.Redis, queue: str, name: str) -> None:
        # prepare_for_work asks the store for our address; a worker must start even while the store is unavailable.
        super().__init__(
            [queue],
            name=name,
            connection=store,
            serializer="json",
            worker_ttl=RQ_WORKER_TTL_SECONDS,
            prepare_for_work=False,
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        return connection  # RQ would raise the socket timeout to minutes; a silent store must be noticed


class RQWorkers:
    """The RQ workers of one process, registered and kept alive together.

    `before_heartbeat` is called before the registration and each heartbeat; it may raise to prevent them.
    """

    def __init__(
        self, store: redis.Redis, queue: str, names: list[str], before_heartbeat: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._queue = queue
        self._workers = [Worker(store, queue, name) for name in names]
        self._before_heartbeat = before_heartbeat
        self._next_heartbeat = self._next_forgetting = 0.0

    def register(self) -> None:
        """Registers all workers; safe to repeat after a lost reply, or after the store lost its data."""
        self._before_heartbeat()
        for worker in self._workers:
            self._store.delete(worker.key)  # RQ refuses a name that exists; our names are unique
            worker.register_birth()
            worker.set_state(WorkerStatus.IDLE)

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
            if self._store.exists(*(worker.key for worker in self._workers)) < len(self._workers):
                self.register()
            with self._store.pipeline(transaction=False) as pipeline:
                for worker in self._workers:
                    worker.heartbeat(pipeline=pipeline)
                pipeline.execute()
        except OutOfMemoryError:
            # Only RQ's tools need this: it must not stop the worker from emptying a full store.
            log.debug("store is full, no heartbeat for RQ's tools", extra={"queue": self._queue})

    def unregister(self) -> None:
        for worker in self._workers:
            worker.register_death()

    def forget_dead_workers(self) -> None:
        """Removes workers whose key has expired from RQ's lists."""
        clean_worker_registry(self._workers[0].queues[0])


def unregister(settings: Settings, queue: str, names: list[str]) -> None:
    """Unregisters a process that ends, on a connection of its own with a short timeout."""
    try:
        with connect(settings, timeout_seconds=LAST_WORDS_SECONDS) as store:
            RQWorkers(store, queue, names).unregister()
    except (RedisError, OSError) as exc:
        # RQ forgets the workers when their keys expire.
        log.warning("store unavailable at exit", extra={"error_type": type(exc).__name__})


def thread_names(process: str, threads: int) -> list[str]:
    return [f"{process}.{number}" for number in range(1, threads + 1)]


def forget_workers(store: redis.Redis, names: list[str], queue: str) -> None:
    """Removes killed workers from RQ's lists immediately, instead of when their keys expire."""
    keys: list[Any] = [f"{BaseWorker.redis_worker_namespace_prefix}{name}" for name in names]
    store.srem("rq:workers", *keys)
    store.srem(f"rq:workers:{queue}", *keys)
    store.delete(*keys, *(f"{key}:executions" for key in keys))
