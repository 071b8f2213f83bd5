"""What the store must be for a 202 to mean "on disk", asked of the server itself on the connection that is judged."""

import asyncio
from collections.abc import Sequence

import redis.asyncio
from redis.exceptions import RedisError

from ingest.connection import Address, Connection, StoreReplied, open_connection
from shared.errors import NotDurable, StoreUnavailable
from shared.settings import Settings
from shared.store import REQUIRED, refuse_unless_durable

ASK = ("CONFIG", "GET", *REQUIRED)


class Durability:
    """What `DURABILITY` asks of the store."""

    def __init__(self, settings: Settings) -> None:
        self._is_asked = settings.durability in {"fsync", "replicated"}
        self._replicas = settings.replicas if settings.durability == "replicated" else 0

    async def check(self, connection: Connection, store: redis.asyncio.Redis) -> None:
        """Ask for what `DURABILITY` needs; `store` knows the login for the replicas.

        Raises:
            NotDurable: it would lose what we acknowledge.
            StoreUnavailable: it does not answer, or is no primary.
        """
        role, found = await connection.call(("ROLE",), ASK)
        if isinstance(role, StoreReplied) and role.code == "LOADING":
            raise StoreUnavailable("the store loads its files")
        if isinstance(role, list) and role[0] != b"master":
            raise StoreUnavailable("the store is a replica")
        if self._is_asked:
            refuse_unless_durable(_pairs(found))
        if self._replicas:
            await self._check_replicas(role, store)

    async def _check_replicas(self, role: object, store: redis.asyncio.Redis) -> None:
        replicas = role[2] if isinstance(role, list) else []
        addresses = [(host.decode(), int(port)) for host, port, _ in replicas]
        wrong = [said for said in await asyncio.gather(*(_judge(address, store) for address in addresses)) if said]
        durable = len(addresses) - len(wrong)
        if durable < self._replicas:
            raise NotDurable(
                f"SUREHOOK_DURABILITY=replicated needs {self._replicas} durable replicas, there are {durable}"
                + "".join(f"; {said}" for said in wrong)
            )


async def _judge(address: Address, store: redis.asyncio.Redis) -> str:
    """What is wrong with a replica: it must keep what it says it has, and may be the primary tomorrow."""
    name = f"{address[0]}:{address[1]}"
    try:
        connection = await open_connection(store, lambda: None, address)
        try:
            (found,) = await connection.call(ASK)
        finally:
            connection.abort()
        refuse_unless_durable(_pairs(found), f"the replica {name}")
    except NotDurable as exc:
        return str(exc)
    except (StoreUnavailable, RedisError, OSError) as exc:
        return f"the replica {name} does not answer ({type(exc).__name__})"
    return ""


def _pairs(reply: StoreReplied | Sequence[bytes]) -> dict[str, str]:
    if isinstance(reply, StoreReplied):  # a managed store, or an account that may not ask
        return {}
    return {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
