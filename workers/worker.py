"""RQ's view of a worker process: each of its threads is one RQ worker, registered, alive and readable."""

import os
import socket
from typing import Any

import redis
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import clean_worker_registry

RQ_WORKER_TTL_SECONDS = 30


class Worker(BaseWorker):  # type: ignore[misc]
    """Registration and `rq info` are RQ's; taking, running and settling are ours."""

    def __init__(self, store: redis.Redis, queue: str, name: str) -> None:
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

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        return connection  # RQ would raise the socket's timeout to minutes: a silent store must be noticed


class Crew:
    """The RQ workers of one process, registered and kept alive together."""

    def __init__(self, store: redis.Redis, queue: str, names: list[str]) -> None:
        self._store = store
        self._workers = [Worker(store, queue, name) for name in names]

    def register(self) -> None:
        """Also once more: after a lost reply, or when the store forgot us while it was away."""
        for worker in self._workers:
            self._store.delete(worker.key)  # RQ refuses a name that is there already; ours is ours alone
            worker.register_birth()
            worker.set_state(WorkerStatus.IDLE)

    def beat(self) -> None:
        if self._store.exists(*(worker.key for worker in self._workers)) < len(self._workers):
            self.register()
        with self._store.pipeline(transaction=False) as pipeline:
            for worker in self._workers:
                worker.heartbeat(pipeline=pipeline)
            pipeline.execute()

    def unregister(self) -> None:
        for worker in self._workers:
            worker.register_death()

    def forget_dead_workers(self) -> None:
        """Take workers whose key has expired off RQ's lists."""
        clean_worker_registry(self._workers[0].queues[0])


def names_of_threads(process: str, threads: int) -> list[str]:
    return [f"{process}.{number}" for number in range(1, threads + 1)]


def forget_workers(store: redis.Redis, names: list[str], queue: str) -> None:
    """Take workers that were killed off RQ's lists at once, instead of when their keys expire."""
    keys: list[Any] = [f"{BaseWorker.redis_worker_namespace_prefix}{name}" for name in names]
    store.srem("rq:workers", *keys)
    store.srem(f"rq:workers:{queue}", *keys)
    store.delete(*keys, *(f"{key}:executions" for key in keys))
