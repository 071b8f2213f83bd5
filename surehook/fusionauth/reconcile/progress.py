"""The watermark and the last statement, kept in the store between two runs, and the lock of the one that runs."""

import json
import secrets
import time
from collections.abc import Collection
from typing import Any, Self

import redis

from surehook.fusionauth.reconcile.statement import Statement
from surehook.shared.errors import SurehookError
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

LOCK_SECONDS = 60


class Progress:
    """`with` holds the lock. A run that is killed loses it within a minute.

    Runs for webhooks that were chosen by id have a watermark of their own: what they read says nothing of the others.

    Raises:
        SurehookError: another run holds it.
    """

    def __init__(self, store: redis.Redis, keys: Keys, chosen: Collection[str] = ()) -> None:
        self._store = store
        self._keys = keys
        self._until = " ".join(("until", *sorted(set(chosen))))
        self._token = secrets.token_hex(16)
        self._renew = Script("reconcile_lock", keys)

    def __enter__(self) -> Self:
        self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        self._renew.run(self._store, self._token, 0)

    def renew(self) -> None:
        """Takes the lock, or keeps it."""
        if not self._renew.run(self._store, self._token, LOCK_SECONDS * 1000):
            left: Any = self._store.pttl(self._keys.reconcile_lock)
            raise SurehookError(
                "another `surehook reconcile` runs on this store: wait for it, or stop it (if it was killed, its place "
                f"is free in {max(1, -(-left // 1000))} s)"
            )

    def decided_until(self) -> int | None:
        """Returns the instant up to which everything is decided, in epoch milliseconds; None before the first run."""
        found: Any = self._store.hget(self._keys.reconciled, self._until)
        return None if found is None else int(found)

    def advance(self, at_ms: int) -> None:
        self._store.hset(self._keys.reconciled, self._until, at_ms)

    def save(self, statement: Statement) -> None:
        """Keeps the statement for the metrics and the dashboard."""
        kept = statement.as_json() | {
            "saved_at": time.time(),
            "decided_until": self.decided_until(),
            "sentences": statement.text().splitlines(),
        }
        self._store.hset(self._keys.reconciled, "statement", json.dumps(kept))
