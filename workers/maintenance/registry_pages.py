"""Reads a sorted set, such as a registry of RQ, in pages."""

from collections.abc import Iterator
from typing import Any

import redis


def registry_pages(store: redis.Redis, key: str, page_size: int) -> Iterator[list[bytes]]:
    """Yields the members. `page_size` is what the store aims at; a page may be longer."""
    # ZSCAN returns every member that is present throughout; pages by rank skip some when others are removed.
    cursor = 0
    while True:
        reply: Any = store.zscan(key, cursor, count=page_size)
        cursor, members = reply
        if members:
            yield [member for member, _ in members]
        if not cursor:
            return
