"""The Lua scripts: one file per transition of an event.

Each is sent behind the key names and the definitions of `scripts/lib/` that it uses.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

import redis
from redis.exceptions import NoScriptError

from surehook.shared.keys import Keys
from surehook.shared.script_linker import linked

Argument = bytes | str | int | float

# These finish, renew, recover and delete, so they must also run in a full store, to free memory. Without the flag the
# store refuses a script whose first write needs memory. The other scripts add new data.
RUN_IN_A_FULL_STORE = {
    "exchange", "tend_limited", "move_queue", "renew", "interrupt", "promote_due", "sweep", "sweep_lock", "sweep_mark",
    "sweep_canceled", "sweep_failed", "sweep_order", "erase", "erase_spooled", "discard",
    "heartbeat", "deregister", "told", "count_minutes", "announce_handlers", "drop_bodies", "forget_ids",
    "forget_groups", "index_events", "index_mark", "index_summary", "check_rows", "set_if_absent",
    "audit", "bulk_start", "bulk_take", "bulk_renew", "bulk_stop",
    "txn_claim", "txn_settle", "txn_give_back", "txn_confirm", "txn_abandon", "txn_recover", "txn_bury", "txn_resolve",
    "txn_lost",
}  # fmt: skip
_FLAGS = "#!lua flags=allow-oom\n"  # must be the first line (Redis 7, Valkey)

FOLDER = files("surehook.shared") / "scripts"
# Each may use the definitions of those before it.
LIBRARY = (
    "rq_jobs", "known_ids", "index", "ordering", "groups", "actions", "events", "open_events", "claims", "limits",
    "transactions",
)  # fmt: skip


class Store(Protocol):
    """The part of a redis client that a script needs."""

    def execute_command(self, *args: Any, **options: Any) -> Any: ...


class Script:
    """A script that runs on the store by its hash and is sent in full when the store does not know it."""

    def __init__(self, name: str, keys: Keys) -> None:
        self.name = name
        self.source = _source(name, keys)
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest()

    def run(self, store: Store, *args: Argument) -> Any:
        try:
            return store.execute_command(*self.command(args))
        except NoScriptError:
            return store.execute_command("EVAL", self.source, 0, *args)

    def run_many(self, store: redis.Redis, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """The same script with many arguments, in one round trip, or a few if the store does not know it yet."""
        pipeline = store.pipeline(transaction=False)
        for args in calls:
            pipeline.execute_command(*self.command(args))  # type: ignore[no-untyped-call] # redis-py's own
        replies = pipeline.execute(raise_on_error=False)
        unknown = [position for position, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            again = [calls[position] for position in unknown]
            results = [self.run(store, *again[0]), *self.run_many(store, again[1:])]
            for position, result in zip(unknown, results, strict=True):
                replies[position] = result
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def command(self, args: Sequence[Argument]) -> tuple[Argument, ...]:
        # No KEYS: the store is one server (or one with replicas), not a cluster, and scripts follow ids to keys.
        return ("EVALSHA", self.sha, 0, *args)


@cache
def _source(name: str, keys: Keys) -> bytes:
    flags = _FLAGS if name in RUN_IN_A_FULL_STORE else ""
    return (flags + linked((FOLDER / f"{name}.lua").read_text(), definitions(keys))).encode()


@cache
def definitions(keys: Keys) -> str:
    """Everything that a script may use: the names of keys, and the library."""
    return "\n".join([keys.for_scripts(), *((FOLDER / "lib" / f"{part}.lua").read_text() for part in LIBRARY)])


def text(reply: Any) -> str:
    """Converts a string reply; "" if there is none."""
    if reply is None:
        return ""
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def whole_number(reply: Any) -> int:
    """Converts a reply that is digits, which a hand may have changed to anything else: then it is 0."""
    digits = text(reply)
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def texts(replies: Any) -> list[str]:
    """Converts a list or set of string replies, in its order."""
    found: Iterable[Any] = replies
    return [text(reply) for reply in found]
