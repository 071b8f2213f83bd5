"""Stops a worker process when a newer version has written to the store."""

import redis

from surehook.shared.errors import IncompatibleStore
from surehook.shared.keys import Keys
from surehook.shared.store_format import StoreFormat


class FormatGuard:
    """Checks the store's format at the start and with each heartbeat."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self.refusal: IncompatibleStore | None = None
        """Why this process must stop."""

    def check(self) -> None:
        """
        Raises:
            IncompatibleStore: this process must stop.
        """
        try:
            StoreFormat().check(self._store, self._keys)
        except IncompatibleStore as exc:
            self.refusal = exc
            raise
