"""Ways in which a store takes no events for a while."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import redis

Away = Callable[[redis.Redis], AbstractContextManager[None]]


@contextmanager
def set_to(store: redis.Redis, name: str, bad: str, good: str) -> Iterator[None]:
    store.config_set(name, bad)
    try:
        yield
    finally:
        store.config_set(name, good)


@contextmanager
def a_replica(store: redis.Redis) -> Iterator[None]:
    store.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        store.replicaof("NO", "ONE")


@contextmanager
def silent(store: redis.Redis) -> Iterator[None]:
    store.client_pause(2000)  # it ends by itself: UNPAUSE would have to wait, too
    yield


FAULTS: dict[str, Away] = {
    "settings that lose events": lambda store: set_to(store, "appendfsync", "everysec", "always"),
    "out of memory": lambda store: set_to(store, "maxmemory", "1", "0"),
    "a replica": a_replica,
    "silence": silent,
}
not_durable = FAULTS["settings that lose events"]
