"""The number of the format in which the store keeps events: a build refuses a store that a newer one has written to.

The number rises when a build writes what the build before it cannot read. A build reads the formats from OLDEST to
FORMAT. It writes FORMAT into the store when it starts to use it, so that older processes stop using it.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError

from surehook.shared.errors import IncompatibleStore
from surehook.shared.keys import Keys

FORMAT = 1
OLDEST = 1
CLUSTER = (
    "the store is part of a cluster (cluster_enabled:1), where no event could run: use one server, or one with "
    "replicas and Sentinel (SUREHOOK_REDIS_URL)"
)
UNNUMBERED = b"1"
"""The format of a store without a number: it is empty, or was written before the number existed."""


def require_no_cluster(store: redis.Redis) -> None:
    """
    Raises:
        IncompatibleStore: the server is part of a cluster.
        RedisError, OSError: it cannot be reached.
    """
    with suppress(ResponseError):  # an account without INFO, or a server without clusters
        found: Any = store.execute_command("INFO", "cluster")  # type: ignore[no-untyped-call]
        if is_cluster(found):
            raise IncompatibleStore(CLUSTER)


def is_cluster(info: Any) -> bool:
    """Reads the reply to INFO."""
    if isinstance(info, dict):  # redis-py has parsed it
        return bool(info.get("cluster_enabled"))
    return isinstance(info, bytes) and b"cluster_enabled:1" in info


@dataclass(frozen=True, slots=True)
class StoreFormat:
    """The formats that a build reads."""

    newest: int = FORMAT
    oldest: int = OLDEST

    def must_be_written(self, stored: bytes | None) -> bool:
        """Return whether the store's number must be written or raised.

        Raises:
            IncompatibleStore: this build cannot use the store.
        """
        number = UNNUMBERED if stored is None else stored
        if not number.isdigit() or not self.oldest <= int(number) <= self.newest:
            shown = number.decode("utf-8", "replace")
            raise IncompatibleStore(
                f"the store has format {shown}, and this version of Surehook reads {self._readable()}: use the version "
                "that wrote it, or another store (SUREHOOK_REDIS_URL, SUREHOOK_KEY_PREFIX)"
            )
        return stored is None or int(number) < self.newest

    def check(self, store: redis.Redis, keys: Keys, *, writes: bool = True) -> None:
        """Check the store, and write the number if it must be written.

        Raises:
            IncompatibleStore: this build cannot use the store, or it is a cluster.
            RedisError, OSError: it cannot be reached.
        """
        require_no_cluster(store)
        stored = store.get(keys.store_format)
        if self.must_be_written(stored) and writes:  # type: ignore[arg-type] # redis-py also types asynchronous replies
            with suppress(ResponseError):  # a full store: written by a later check
                store.set(keys.store_format, self.newest)

    def _readable(self) -> str:
        return f"{self.newest}" if self.oldest == self.newest else f"{self.oldest} to {self.newest}"
