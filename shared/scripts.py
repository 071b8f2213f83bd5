"""The Lua scripts: one file a transition, each with what it shares with others and the names of the keys before it."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

import redis
from redis.exceptions import NoScriptError

from shared.keys import Keys

Argument = bytes | str | int | float


class Store(Protocol):
    """What a script needs of a redis client."""

    def execute_command(self, *args: Any, **options: Any) -> Any: ...


class Script:
    """A script that runs on the store by its hash and is sent in full when the store does not know it."""

    def __init__(self, name: str, keys: Keys) -> None:
        folder = files("shared") / "scripts"
        shared = ["opening"] if name == "accept" else ["opening", "common"]
        if name.startswith("txn_"):
            shared.append("txn_common")
        parts = [keys.for_scripts(), *((folder / f"{part}.lua").read_text() for part in (*shared, name))]
        self.source = "\n".join(parts).encode()
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest()

    def run(self, store: Store, *args: Argument) -> Any:
        try:
            return store.execute_command(*self.command(args))
        except NoScriptError:
            return store.execute_command("EVAL", self.source, 0, *args)

    def run_many(self, store: redis.Redis, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """The same script with many arguments, in one trip."""
        pipeline = store.pipeline(transaction=False)
        for args in calls:
            pipeline.execute_command(*self.command(args))  # type: ignore[no-untyped-call] # redis-py's own
        replies = pipeline.execute(raise_on_error=False)
        for position, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[position] = self.run(store, *calls[position])
            elif isinstance(reply, Exception):
                raise reply
        return replies

    def command(self, args: Sequence[Argument]) -> tuple[Argument, ...]:
        # No KEYS: the store is one server (or one with replicas), not a cluster, and scripts follow ids to keys.
        return ("EVALSHA", self.sha, 0, *args)
