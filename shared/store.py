"""Connects to the store: by URL, TLS, unix socket, Sentinel, or the embedded store's socket."""

from typing import Any, Never, cast
from urllib.parse import parse_qs, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from surehook.shared.embedded import socket_path
from surehook.shared.errors import Misconfigured, NotDurable, StoreUnavailable
from surehook.shared.settings import Settings

CONNECT_TIMEOUT_SECONDS = 0.4
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")  # in the URL's query, as redis-py has them for rediss://
# An acknowledged write survives `kill -9` only with these settings: see docs/reliability.md.
REQUIRED = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


def store_url(settings: Settings) -> str:
    """Returns the configured address, or the embedded store's socket."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    return f"unix://{socket_path(settings.data_dir)}"


def connect(settings: Settings, *, timeout_seconds: float, most_connections: int | None = None) -> redis.Redis:
    """Returns a client for threads. It never repeats a command: a script that moved a job must not run twice."""
    options = _options(timeout_seconds, Retry(NoBackoff(), 0))
    if most_connections is not None:
        options["max_connections"] = most_connections
    url = store_url(settings)
    if _is_sentinel(url):
        hosts, service, tls, extra = _sentinel_parts(url)
        sentinel: Any = Sentinel(hosts, sentinel_kwargs=options | tls)  # type: ignore[no-untyped-call]
        return cast(redis.Redis, sentinel.master_for(service, **options, **tls, **extra))
    return redis.Redis.from_url(url, **options)


def connect_async(settings: Settings, *, timeout_seconds: float, **extra: Any) -> redis.asyncio.Redis:
    """Returns a client for the event loop, like `connect`."""
    options = _options(timeout_seconds, AsyncRetry(NoBackoff(), 0)) | extra
    url = store_url(settings)
    if _is_sentinel(url):
        hosts, service, tls, more = _sentinel_parts(url)
        plain = _options(timeout_seconds, AsyncRetry(NoBackoff(), 0))
        sentinel: Any = AsyncSentinel(hosts, sentinel_kwargs=plain | tls)  # type: ignore[no-untyped-call]
        return cast(redis.asyncio.Redis, sentinel.master_for(service, **options, **tls, **more))
    return redis.asyncio.Redis.from_url(url, **options)


async def close_async(store: redis.asyncio.Redis) -> None:
    """Closes the client and its connections to Sentinels, which redis-py leaves open."""
    await store.aclose()
    manager = getattr(store.connection_pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.aclose()


def require_durable(found: dict[str, str], whose: str = "the store") -> None:
    """Checks that the server's settings (CONFIG GET) keep acknowledged writes.

    Raises:
        NotDurable: names the settings to change.
    """
    wrong = [f"{name} is {found.get(name) or 'hidden'}, must be {need}" for name, need in REQUIRED.items()
             if found.get(name) != need]  # fmt: skip
    if wrong:
        raise NotDurable(
            f"{whose} would lose acknowledged events: " + "; ".join(wrong) + ". Change them there (CONFIG SET or its "
            "configuration file), or set SUREHOOK_DURABILITY=trusted if a managed store hides its settings"
        )


def wait_for_store(settings: Settings) -> None:
    """Checks that the store can be reached, for a command that is about to use it.

    Raises:
        StoreUnavailable: says which address was tried and what to do.
    """
    try:
        with connect(settings, timeout_seconds=5) as store:
            store.ping()
    except (RedisError, OSError) as exc:
        unavailable(settings, exc)


def unavailable(settings: Settings, exc: Exception) -> Never:
    if settings.redis_url is None:
        raise StoreUnavailable(
            f"no store answers at {socket_path(settings.data_dir)}: start one with `surehook dev`, run this in the "
            "same folder, or set SUREHOOK_REDIS_URL or SUREHOOK_DATA_DIR"
        ) from exc
    host = urlsplit(store_url(settings)).netloc.rpartition("@")[2]
    raise StoreUnavailable(
        f"the store at {host} does not answer ({type(exc).__name__}): check SUREHOOK_REDIS_URL"
    ) from exc


def _options(timeout_seconds: float, retry: Any) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "retry": retry,
        "retry_on_error": [],
        "protocol": 2,  # rq reads replies as RESP2 gives them
    }


def _is_sentinel(url: str) -> bool:
    return urlsplit(url).scheme in SENTINEL_SCHEMES


def _sentinel_parts(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any], dict[str, Any]]:
    """`redis+sentinel://[user:password@]host:port,host:port/service[/db]` in parts.

    Returns the Sentinels' addresses, the service's name, the TLS options, and the options of the servers.
    """
    parts = urlsplit(url)
    login, _, addresses = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise Misconfigured(f"SUREHOOK_REDIS_URL: expected {parts.scheme}://host:port,host:port/service")
    hosts = []
    for address in addresses.split(","):
        host, _, port = address.rpartition(":")
        hosts.append((host, int(port)) if host else (port, 26_379))
    query = parse_qs(parts.query)
    extra: dict[str, Any] = {"db": int(database or query.get("db", ["0"])[0])}
    user, _, password = login.partition(":")
    if login:
        extra |= {"username": unquote(user) or None, "password": unquote(password)}
    tls: dict[str, Any] = {}
    if parts.scheme.startswith("rediss"):
        tls = {"ssl": True, **{name: query[name][0] for name in TLS_OPTIONS if name in query}}
    return hosts, service, tls, extra
