"""Connects to the store: by URL, TLS, unix socket, Sentinel, or the embedded store's socket."""

from collections.abc import Callable
from typing import Any, Never, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from surehook.shared.embedded import socket_path
from surehook.shared.errors import Misconfigured, NotDurable, StoreUnavailable, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store_connections import use_our_connections
from surehook.shared.store_errors import Meaning, advice, fault_of
from surehook.shared.store_format import StoreFormat
from surehook.shared.store_name import store_address

CONNECT_TIMEOUT_SECONDS = 0.4
# An acknowledged write survives `kill -9` only with these settings: see docs/reliability.md.
REQUIRED = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


def connect(
    settings: Settings,
    *,
    timeout_seconds: float,
    most_connections: int | None = None,
    on_connect: Callable[[], None] | None = None,
) -> redis.Redis:
    """Returns a client for threads. It never repeats a command: a script that moved a job must not run twice.

    Args:
        settings: where the store is.
        timeout_seconds: how long to wait for a reply.
        most_connections: how many connections it may open.
        on_connect: called for each new connection.
    """
    options = plain = _options(timeout_seconds, Retry(NoBackoff(), 0))
    if most_connections is not None:
        options = options | {"max_connections": most_connections}
    if on_connect is not None:
        options = options | {"redis_connect_func": lambda connection: (on_connect(), connection.on_connect())}
    address = store_address(settings)
    if address.service:
        asking = plain | address.sentinel_options()
        sentinel: Any = Sentinel(address.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
        store = cast(redis.Redis, sentinel.master_for(address.service, **options, **address.server_options()))
        return use_our_connections(store)
    return use_our_connections(redis.Redis(**options, **address.server_options()))


def connect_async(settings: Settings, *, timeout_seconds: float, **extra: Any) -> redis.asyncio.Redis:
    """Returns a client for the event loop, like `connect`."""
    options = _options(timeout_seconds, AsyncRetry(NoBackoff(), 0)) | extra
    address = store_address(settings)
    if address.service:
        asking = _options(timeout_seconds, AsyncRetry(NoBackoff(), 0)) | address.sentinel_options()
        sentinel: Any = AsyncSentinel(address.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
        return cast(redis.asyncio.Redis, sentinel.master_for(address.service, **options, **address.server_options()))
    return redis.asyncio.Redis(**options, **address.server_options())


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
            f"{whose} would lose acknowledged events: {'; '.join(wrong)}. Change them there (in its configuration "
            "file, or with CONFIG SET and then CONFIG REWRITE), or set SUREHOOK_DURABILITY=trusted if a managed store "
            "hides its settings"
        )


def wait_for_store(settings: Settings) -> None:
    """Checks that the store can be reached and read, for a command that is about to use it.

    Raises:
        StoreUnavailable: says which address was tried and what to do.
        IncompatibleStore: a version wrote to it whose format this one does not read.
    """
    try:
        with connect(settings, timeout_seconds=5) as store:
            StoreFormat().check(store, Keys(settings.key_prefix), writes=False)
    except (RedisError, OSError) as exc:
        unavailable(settings, exc)


def unavailable(settings: Settings, exc: Exception) -> Never:
    """Says what the store replied, or that it does not.

    Raises:
        Misconfigured: an operator has to change something first, such as the account's rights.
        StoreUnavailable: a later attempt may succeed.
    """
    fault = fault_of(exc)
    if fault.meaning is not Meaning.NO_REPLY:
        error = Misconfigured if fault.meaning in {Meaning.REFUSED, Meaning.UNSUITABLE} else StoreUnavailable
        raise error(f"{advice(fault)} ({fault.code})") from exc
    if settings.redis_url is None:
        raise StoreUnavailable(
            f"no store answers at {socket_path(settings.data_dir)}: start one with `surehook dev` or "
            "`surehook store`, run this in the same folder, or set SUREHOOK_REDIS_URL or SUREHOOK_DATA_DIR"
        ) from exc
    raise StoreUnavailable(
        f"the store at {settings.redis_url.place} does not answer ({type(exc).__name__}): check SUREHOOK_REDIS_URL"
    ) from exc


def error_for_operator(exc: Exception) -> SurehookError | None:
    """Translates an error of the client that a command did not expect; None for any other error."""
    if not isinstance(exc, RedisError):
        return None
    try:
        unavailable(load_settings(), exc)
    except SurehookError as error:
        return error


def _options(timeout_seconds: float, retry: Any) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "retry": retry,
        "retry_on_error": [],
        "protocol": 2,  # rq reads replies as RESP2 gives them
    }
