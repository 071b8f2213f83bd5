"""Checks of the store: that it answers, keeps what it acknowledges, and has room."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.ingest.store.connection import REPLY_TIMEOUT_SECONDS, open_connection
from surehook.ingest.store.durability import Durability
from surehook.shared.errors import IncompatibleStore, NotDurable, StoreRefused, StoreUnavailable, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.rights import worker_rights
from surehook.shared.settings import OFF, Settings
from surehook.shared.store import close_async, connect_async, wait_for_store

Info = dict[str, Any]

ADDRESS = "SUREHOOK_REDIS_URL"
REFUSED = "are refused with 503 and lost"
# Scripts with flags, and BLMPOP.
OLDEST_VERSION = (7, 0)
MUCH, NEARLY_ALL = 0.8, 0.95
LITTLE_DISK_BYTES = 1024**3
MAX_SKEW_SECONDS = 2.0


def unreachable_store(settings: Settings) -> Finding | None:
    """Returns a finding if the store cannot be used at all; None if it can."""
    try:
        wait_for_store(settings)
    except IncompatibleStore as exc:  # no process ever uses such a store, so nothing is spooled for it
        return loses("store", f"{exc}.", f"New events {REFUSED}, and no handler runs.", ADDRESS)
    except SurehookError as exc:
        means = f"New events {_away(settings)}, transactional ones are refused, and no handler runs."
        return loses("store", f"{exc}.", means, ADDRESS)
    return None


def _away(settings: Settings) -> str:
    return REFUSED if settings.spool_dir == OFF else "wait in the spool until that is full"


def store_findings(settings: Settings, store: redis.Redis) -> Iterator[Finding]:
    yield fine("store", "The store answers.")
    yield from _durability(settings)
    yield from _worker_rights(settings, store)
    info = _info(store)
    if not info:
        yield odd(
            "store-info",
            "The account may not use INFO.",
            "Version, memory and disk of the store were not checked.",
            f"{ADDRESS}: allow its account INFO (docs/operations.md, Accounts)",
        )
    else:
        yield version_finding(info)
        yield memory_finding(info)
        yield from write_findings(info)
    yield clock_finding(store)
    if settings.redis_url is None:
        yield disk_finding(settings)


def _durability(settings: Settings) -> Iterator[Finding]:
    try:
        asyncio.run(_require_durable(settings))
    except NotDurable as exc:
        means = f"Until that is changed, new events {_away(settings)}, and transactional ones are refused."
        yield loses("durable", f"{exc}.", means, "the store's configuration file (CONFIG SET, CONFIG REWRITE)")
    except StoreRefused as exc:
        means = f"New events {_away(settings)}, and transactional ones are refused."
        yield loses("rights", f"{exc}.", means, f"{ADDRESS}: the account's rights")
    except (StoreUnavailable, RedisError, OSError) as exc:
        yield loses("durable", f"{exc}.", "The endpoint takes no events into this store.", ADDRESS)
    else:
        yield _promise(settings)


def _promise(settings: Settings) -> Finding:
    if settings.durability == "memory":
        return loses(
            "durable",
            "SUREHOOK_DURABILITY=memory: an event counts as stored before it is on disk.",
            "A crash or a power cut loses events that were answered 202.",
            "SUREHOOK_DURABILITY=fsync",
        )
    if settings.durability == "trusted":
        return odd(
            "durable",
            "SUREHOOK_DURABILITY=trusted: the store's settings are not checked.",
            "Whether a 202 survives a power cut is your provider's promise alone.",
            "SUREHOOK_DURABILITY=fsync, if the store shows its settings",
        )
    replicas = f" and on {settings.replicas} replicas" if settings.durability == "replicated" else ""
    return fine("durable", f"An acknowledged event is on the store's disk{replicas}, and nothing is evicted.")


async def _require_durable(settings: Settings) -> None:
    """Checks as the endpoint does at its start and every few seconds."""
    store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS)
    try:
        connection = await open_connection(store, lambda: None)
        try:
            await Durability(settings).check(connection, store)
        finally:
            connection.abort()
    finally:
        await close_async(store)


def _worker_rights(settings: Settings, store: redis.Redis) -> Iterator[Finding]:
    try:
        worker_rights(Keys(settings.key_prefix)).check(store)
    except StoreRefused as exc:
        means = "If workers use this account, their handlers do not run or a crash is not repaired."
        yield odd("worker-rights", f"{exc}.", means, f"{ADDRESS}: the account's rights")


def _info(store: redis.Redis) -> Info:
    try:
        found: Any = store.info("all")
    except ResponseError:
        return {}
    return dict(found)


def version_finding(info: Info) -> Finding:
    text = str(info.get("redis_version", "0"))
    shown = f"{info.get('server_name', 'redis').title()} {info.get('valkey_version', text)}"
    if tuple(int(part) for part in text.split(".")[:2] if part.isdigit()) < OLDEST_VERSION:
        return loses(
            "store-version", f"The store is {shown}.", "Its scripts do not run.", "the server: Redis 7 or Valkey"
        )
    return fine("store-version", f"The store is {shown}.")


def memory_finding(info: Info) -> Finding:
    used = int(info.get("used_memory", 0))
    limit, what = int(info.get("maxmemory", 0)), "maxmemory"
    if not limit:
        limit, what = int(info.get("total_system_memory", 0)), "the machine's memory"
    share = used / limit if limit else 0.0
    found = f"The store uses {share:.0%} of {what} ({_size(used)} of {_size(limit)})."
    change = "maxmemory of the store, a larger machine, or fewer open events (`surehook queues list`)"
    if share >= NEARLY_ALL:
        return loses("memory", found, "A full store takes no events: they are refused or fill the spool.", change)
    if share >= MUCH:
        return odd("memory", found, "When it is full, it takes no more events.", change)
    return fine("memory", found)


def write_findings(info: Info) -> Iterator[Finding]:
    """Notices a disk that is full or broken."""
    for field, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if info.get(field, "ok") != "ok":
            yield loses(
                "store-disk",
                f"The store could not write its {what} ({field}:{info[field]}).",
                "It refuses writes, so no event is taken.",
                "the store's disk: make room or repair it; its log says why",
            )


def disk_finding(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    found = f"The disk of {settings.data_dir} has {_size(free)} free."
    if free < LITTLE_DISK_BYTES:
        return odd("disk", found, "When it is full, the store takes no events.", "SUREHOOK_DATA_DIR: a larger disk")
    return fine("disk", found)


def clock_finding(store: redis.Redis) -> Finding:
    before = time.time()
    seconds, micros = store.time()
    skew = seconds + micros / 1e6 - (before + time.time()) / 2
    if abs(skew) > MAX_SKEW_SECONDS:
        at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return odd(
            "clock",
            f"The store's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's ({at}).",
            "Times in lists are wrong by as much, and retries come too early or too late after a failover.",
            "NTP on both machines",
        )
    return fine("clock", "The store's clock and this machine's agree.")


def _size(count: int) -> str:
    return f"{count / 1024**3:,.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:,.0f} MiB"
