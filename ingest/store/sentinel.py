"""Finds the primary's address by asking the Sentinels.

All Sentinels are asked concurrently, whereas redis-py asks one after the other: one that accepts connections but hangs
must not delay the replies of the others.
"""

import asyncio
from typing import Any

import redis.asyncio
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError

from surehook.shared.errors import StoreRefused, StoreUnavailable
from surehook.shared.store_errors import StoreFault, fault_of

SENTINELS_TIMEOUT_SECONDS = 0.4

Address = tuple[str, int]


async def primary_address(store: redis.asyncio.Redis) -> Address | None:
    """The primary's address according to the Sentinels; None without Sentinel.

    Raises:
        StoreUnavailable: no Sentinel answers in time.
    """
    pool = store.connection_pool
    if not isinstance(pool, SentinelConnectionPool):
        return None
    manager: Any = pool.sentinel_manager
    replies = await asyncio.gather(*(_fetch_primary(sentinel, pool.service_name) for sentinel in manager.sentinels))
    known = [state for state in replies if isinstance(state, dict)]
    primaries = [state for state in known if manager.check_master_state(state, pool.service_name)]
    if not primaries:
        faults = [fault for fault in replies if isinstance(fault, StoreFault) and fault.is_lasting]
        if faults and not known:
            raise StoreRefused(
                f"the Sentinels in SUREHOOK_REDIS_URL refuse to say where the primary is ({faults[0].code})"
            )
        raise StoreUnavailable("no Sentinel says where the primary is")
    # A Sentinel cut off together with an old primary still reports it, with a lower epoch.
    newest = max(primaries, key=lambda state: int(state.get("config-epoch", 0)))
    return newest["ip"], int(newest["port"])


async def _fetch_primary(sentinel: Any, service: str) -> dict[str, Any] | StoreFault | None:
    try:
        async with asyncio.timeout(SENTINELS_TIMEOUT_SECONDS):
            primaries: dict[str, dict[str, Any]] = await sentinel.sentinel_masters()
    except (RedisError, OSError) as exc:  # a timeout is an OSError
        return fault_of(exc)
    return primaries.get(service)
