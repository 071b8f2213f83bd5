"""The client's connections to the store. One that hears that its server is not usable (any more) ends.

A replaced primary may stay up and keep its old connections, behind a proxy or a name that now leads to another server.
Only a new connection reaches that server; with Sentinel, only connecting asks for the primary's address.
"""

from typing import Any

import redis
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from surehook.shared.store_errors import fault_of


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
    pass


class _SentinelTls(_EndsOnRefusal, SentinelManagedSSLConnection):
    pass


_OURS: dict[type, type[AbstractConnection]] = {ours.__bases__[1]: ours for ours in _EndsOnRefusal.__subclasses__()}


def use_our_connections(store: redis.Redis) -> redis.Redis:
    """Makes a new client create connections that end when their server refuses to serve."""
    pool = store.connection_pool
    pool.connection_class = _OURS[pool.connection_class]
    return store
