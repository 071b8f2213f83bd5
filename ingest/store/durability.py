"""Checks, on the connection that will be used, that the store keeps what it acknowledges."""

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from surehook.ingest.store.connection import (
    REPLY_TIMEOUT_SECONDS,
    Command,
    Connection,
    ErrorReply,
    open_connection,
    unavailable,
)
from surehook.ingest.store.sentinel import Address
from surehook.shared.errors import NotDurable, StoreUnavailable
from surehook.shared.keys import Keys
from surehook.shared.rights import ingest_rights
from surehook.shared.scripts import texts
from surehook.shared.settings import Settings
from surehook.shared.store import REQUIRED, require_durable
from surehook.shared.store_errors import Meaning

REPLICAS_TIMEOUT_MS = int(REPLY_TIMEOUT_SECONDS * 1000 / 2) - 50  # for each of two waits
# The server fsyncs before it looks at the timeout, which therefore only ends the wait for an fsync that never comes.
OWN_FILE_TIMEOUT_MS = 100
NO_EVICTION = REQUIRED["maxmemory-policy"]
READ_SETTINGS = ("CONFIG", "GET", *REQUIRED)
NO_REWRITE = {b"aof_rewrite_in_progress:0", b"aof_rewrite_scheduled:0"}


class Durability:
    """The check that SUREHOOK_DURABILITY demands."""

    def __init__(self, settings: Settings) -> None:
        self._is_required = settings.durability in {"fsync", "replicated"}
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._barrier = Keys(settings.key_prefix).barrier
        self._rights = ingest_rights(Keys(settings.key_prefix))

    async def check(self, connection: Connection, store: redis.asyncio.Redis) -> None:
        """Check the store and, if required, its replicas, which are reached with the login of `store`.

        Raises:
            NotDurable: the store would lose acknowledged events.
            StoreUnavailable: it does not answer, or is not a primary.
        """
        role, found, memory = await connection.call(("ROLE",), READ_SETTINGS, ("INFO", "memory"))
        for reply in (role, found, memory):
            _require_known(reply)
        if isinstance(role, list) and role[0] != b"master":
            raise StoreUnavailable("the store is a replica")
        await self._require_rights(connection)
        if isinstance(memory, bytes):  # readable even in managed stores that hide their settings
            _require_no_eviction(memory)
        if self._is_required:
            require_durable(_settings_in(found))
            await self._require_complete_aof(connection)
        if self._replicas:
            await self._check_replicas(role, store)
            # Only this detects a replica that has just returned and is still catching up.
            *_, acknowledged = await connection.call(*replication_barrier(self._replicas, self._barrier))
            if missing := missing_replicas(acknowledged, self._replicas):
                raise NotDurable(missing)

    async def _require_rights(self, connection: Connection) -> None:
        """
        Raises:
            StoreRefused: names the rights that the account lacks.
        """
        (refused,) = await connection.call(("EVAL", self._rights.script.source, 0, *self._rights.commands))
        if isinstance(refused, ErrorReply):
            raise unavailable(refused, "EVAL")
        self._rights.require(texts(refused))

    async def _require_complete_aof(self, connection: Connection) -> None:
        """Raise NotDurable while the store writes its first append-only file, which a restart would ignore.

        After `CONFIG SET appendonly yes` the server already reports success and fsyncs. Only WAITAOF tells this first
        rewrite from an ordinary one, and only on a connection that has written: hence the SET and DEL.
        """
        written, _, acknowledged, persistence = await connection.call(
            ("SET", self._barrier, ""),
            ("DEL", self._barrier),
            ("WAITAOF", 1, 0, OWN_FILE_TIMEOUT_MS),
            ("INFO", "persistence"),
        )
        for reply in (written, acknowledged, persistence):
            _require_known(reply)
        if not _has_complete_aof(written, acknowledged, persistence):
            raise NotDurable(
                "the store is still writing its first append-only file after CONFIG SET appendonly yes: until it is "
                "complete, a restart would lose new events. The endpoint accepts events as soon as it is"
            )

    async def _check_replicas(self, role: object, store: redis.asyncio.Redis) -> None:
        replicas = role[2] if isinstance(role, list) else []
        addresses = [(host.decode(), int(port)) for host, port, _ in replicas]
        problems = [
            problem
            for problem in await asyncio.gather(*(_problem_with(address, store) for address in addresses))
            if problem
        ]
        durable = len(addresses) - len(problems)
        if durable < self._replicas:
            raise NotDurable(
                f"SUREHOOK_DURABILITY=replicated needs {self._replicas} durable replicas, there are {durable}"
                + "".join(f"; {problem}" for problem in problems)
            )


def _has_complete_aof(written: Any, acknowledged: Any, persistence: Any) -> bool:
    if not isinstance(written, ErrorReply) and not isinstance(acknowledged, ErrorReply):
        return bool(acknowledged[0])
    # Out of memory, no WAITAOF (before Redis 7.2), or no permission for it: then no rewrite may be in progress.
    if isinstance(persistence, ErrorReply):
        raise NotDurable(
            "the store does not say whether its append-only file is complete: allow the account in SUREHOOK_REDIS_URL "
            "SET, DEL and WAITAOF"
        )
    return set(persistence.split()) >= NO_REWRITE


def _require_no_eviction(memory: bytes) -> None:
    policy = memory.partition(b"maxmemory_policy:")[2].partition(b"\r")[0].decode()
    if policy not in {"", NO_EVICTION}:
        raise NotDurable(
            f"the store may drop keys when its memory is full: maxmemory-policy is {policy}, must be {NO_EVICTION}. "
            "Change it there (in its configuration file, with CONFIG SET and then CONFIG REWRITE, or among a managed "
            "store's parameters)"
        )


def replication_barrier(replicas: int, key: str, more_ms: int = 0) -> tuple[Command, ...]:
    """The commands that wait until all earlier writes are on the disks of the replicas.

    The SET makes the wait cover all earlier writes, including events that turned out to be duplicates. WAIT comes first
    because to WAITAOF alone a replica replies before its fsync, and again only a second later, with its next heartbeat.
    Once WAIT has found the data there, WAITAOF finds it fsynced. A large write gets `more_ms` for each of the two.
    """
    return (
        ("SET", key, ""),
        ("WAIT", replicas, REPLICAS_TIMEOUT_MS + more_ms),
        ("WAITAOF", 1, replicas, REPLICAS_TIMEOUT_MS + more_ms),
    )


def missing_replicas(acknowledged: Any, needed: int) -> str:
    """Describes the missing replicas, from WAITAOF's reply; "" if there are enough."""
    match acknowledged:
        case [int(own), int(others)] if own and others >= needed:
            return ""
        case ErrorReply():
            return f"{needed} replicas must have it on disk, and the store refuses to tell ({acknowledged.code})"
        case [0, _]:
            return "the store must have it on its own disk, and has not written it there"
        case [_, found] | found:
            return f"{needed} replicas must have it on disk, and {found} reported it"


async def _problem_with(address: Address, store: redis.asyncio.Redis) -> str:
    """Describes why a replica is not durable; "" if it is. It needs the primary's settings, as it may replace it."""
    name = f"{address[0]}:{address[1]}"
    try:
        connection = await open_connection(store, lambda: None, address, REPLY_TIMEOUT_SECONDS)
        try:
            (found,) = await connection.call(READ_SETTINGS)
        finally:
            connection.abort()
        _require_known(found)
        require_durable(_settings_in(found), f"the replica {name}")
    except NotDurable as exc:
        return str(exc)
    except (StoreUnavailable, RedisError, OSError) as exc:
        return f"the replica {name} does not answer ({type(exc).__name__})"
    return ""


def _require_known(reply: Any) -> None:
    """
    Raises:
        StoreUnavailable: the store does not answer the question now, so it may be answered later.
    """
    if isinstance(reply, ErrorReply) and not reply.fault.is_lasting and reply.fault.meaning is not Meaning.FULL:
        raise unavailable(reply)


def _settings_in(reply: ErrorReply | Sequence[bytes]) -> dict[str, str]:
    """
    Raises:
        NotDurable: the account may not ask for them.
    """
    if not isinstance(reply, ErrorReply):
        return {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    if reply.fault.meaning is Meaning.UNSUITABLE:  # a managed store has no CONFIG
        return {}
    raise NotDurable(
        "the store does not say whether it keeps acknowledged events: allow the account in SUREHOOK_REDIS_URL "
        f"CONFIG GET ({reply.fault.code}; docs/operations.md, Accounts)"
    )
