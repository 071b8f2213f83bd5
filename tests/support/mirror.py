"""A handler with an order, which records its runs, and what the store holds of the order."""

from typing import Any

import redis

from surehook import Event, on
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts


class Mirror:
    """A handler that records the events it ran for; `fails` are the ids for which it raises."""

    def __init__(self, **options: Any) -> None:
        self.ran: list[str] = []
        self.fails: dict[str, BaseException] = {}
        on("user.*", name="mirror", **({"ordered_by": "user"} | options))(self.run)

    def run(self, event: Event) -> None:
        self.ran.append(str(event.id))
        if str(event.id) in self.fails:
            raise self.fails[str(event.id)]


def deferred(store: redis.Redis) -> list[str]:
    return texts(store.zrange("rq:deferred:events", 0, -1))


def left(store: redis.Redis) -> list[str]:
    """The keys of the order that exist."""
    own = ("line:", "unrouted", "waiting-lines", "latest:")
    return [
        key for key in texts(store.scan_iter(f"{Keys().prefix}:*")) if key.removeprefix("surehook:").startswith(own)
    ]
