"""The client's connections to the store. One that hears that its server is not usable (any more) ends.

A replaced primary may stay up and keep its old connections, behind a proxy or a name that now leads to another server.
Only a new connection reaches that server; with Sentinel, only connecting asks for the primary's address.
"""

import contextlib
import threading
import time
from typing import Any

import redis
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from surehook.shared.store_errors import fault_of

ASK_SENTINEL_EVERY_SECONDS = 5.0


class _EndsOnRefusal(AbstractConnection):
    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except RedisError as exc:
            if fault_of(exc).ends_connection:
                self.disconnect()  # type: ignore[no-untyped-call] # redis-py's own
            raise


class _Tcp(_EndsOnRefusal, Connection):
    pass


class _Tls(_EndsOnRefusal, SSLConnection):
    pass


class _UnixSocket(_EndsOnRefusal, UnixDomainSocketConnection):
    pass


class _Sentinel(_EndsOnRefusal, SentinelManagedConnection):
    """Ends when the Sentinels have made another server the primary.

    An old primary that they cannot reach still answers here, and what is written to it is lost.
    """

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        pool = self.connection_pool
        _ask_now_and_then(pool)
        if self.is_connected and pool.master_address not in (None, (self.host, self.port)):
            self.disconnect()  # type: ignore[no-untyped-call] # redis-py's own
            raise redis.ConnectionError("Sentinel has made another server the primary")
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call] # redis-py's own


class _SentinelTls(_Sentinel, SentinelManagedSSLConnection):
    pass


_OURS: dict[type, type] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _UnixSocket,
    SentinelManagedConnection: _Sentinel,
    SentinelManagedSSLConnection: _SentinelTls,
}


def _ask_now_and_then(pool: Any) -> None:
    """Lets a thread ask the Sentinels: those that hang must not delay a lease."""
    now = time.monotonic()
    if now < getattr(pool, "ask_again_at", 0.0):
        return
    pool.ask_again_at = now + ASK_SENTINEL_EVERY_SECONDS
    threading.Thread(target=_ask, args=(pool,), name="sentinel", daemon=True).start()


def _ask(pool: Any) -> None:
    with contextlib.suppress(RedisError, OSError):  # the primary may be fine without Sentinels
        pool.get_master_address()


def use_our_connections(store: redis.Redis) -> redis.Redis:
    """Makes a new client create connections that end when their server refuses to serve."""
    pool = store.connection_pool
    pool.connection_class = _OURS[pool.connection_class]
    return store
