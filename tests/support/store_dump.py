"""The contents of the store as plain bytes. DUMP compresses and RQ packs its tracebacks, so neither can be searched."""

import zlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import redis

from surehook.shared.keys import Keys
from tests.support.ledger import is_balanced

PACKED = b"exc_string"


def kept_keys(store: redis.Redis) -> list[bytes]:
    """Returns all keys except heartbeats and the number of the store's format."""
    keys: Any = store.keys()
    return [key for key in keys if b":alive:" not in key and key != Keys().store_format.encode()]


def contents(store: redis.Redis, key: bytes) -> bytes:
    """Returns one key's name, fields and values, unpacked."""
    return b"\n".join((key, *_parts(store, key)))


def _parts(store: redis.Redis, key: bytes) -> Iterator[bytes]:
    found: Any
    match store.type(key):
        case b"string":
            yield store.get(key) or b""  # type: ignore[misc]
        case b"list":
            yield from store.lrange(key, 0, -1)  # type: ignore[misc]
        case b"set":
            yield from store.smembers(key)  # type: ignore[misc]
        case b"zset":
            yield from store.zrange(key, 0, -1)  # type: ignore[misc]
        case b"hash":
            found = store.hgetall(key)
            yield from (part for pair in found.items() for part in pair)
        case b"stream":
            found = store.xrange(key)
            for _, fields in found:
                for name, value in fields.items():
                    yield name
                    yield zlib.decompress(b64decode(value)) if name == PACKED else value
        case b"none":  # it has just expired
            return
        case kind:
            raise AssertionError(f"{key!r} is a {kind!r}: say here how to read it")


def keys_naming(store: redis.Redis, event_id: str) -> list[bytes]:
    """Returns the keys that contain an event's id."""
    wanted = event_id.encode()
    return sorted(key for key in store.scan_iter() if wanted in contents(store, key))


def assert_erased(store: redis.Redis, event_id: str) -> None:
    key = f"surehook:event:{event_id}"
    assert sorted(store.hgetall(key)) == [b"closed_at", b"outcome"]
    assert 86_000 < store.ttl(key) <= 86_400
    named = [name for name in keys_naming(store, event_id) if name != b"surehook:audit"]  # it keeps ids
    assert named == [key.encode()]
    assert is_balanced(store)
