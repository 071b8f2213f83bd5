"""One connection to the store for the endpoint's own traffic: packed commands out, replies in, matched by counting.

A general client spends more on a batch than the store does: pools, locks, a task switch a reply. This is the protocol
and nothing else, on hiredis's packer and reader. How to get there (address, TLS, login) is redis-py's knowledge.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis.asyncio

from surehook.ingest.store.sentinel import Address, primary_address
from surehook.shared.errors import StoreUnavailable
from surehook.shared.store import CONNECT_TIMEOUT_SECONDS

# Connecting (0.4 s) and waiting for the reply together stay under a second; FusionAuth's read timeout is 2 s.
REPLY_TIMEOUT_SECONDS = 0.5
CLIENT_NAME = "surehook-ingest"

Command = Sequence[str | bytes | int | float]
Replies = list[Any]
OnReplies = Callable[[Replies | StoreUnavailable], None]


class ErrorReply(Exception):
    """An error that the store replied; its first word says which: NOSCRIPT, OOM, READONLY."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


def pack(command: Command) -> bytes:
    """A command as the store reads it."""
    words: Any = tuple(command)
    packed: bytes = hiredis.pack_command(words)
    return packed


class Connection(asyncio.Protocol):
    """Batches are answered in the order they were sent. One that is not within the timeout ends the connection."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._reader = hiredis.Reader(replyError=ErrorReply)
        self._replies: Replies = []
        self._pending: deque[tuple[float, int, OnReplies]] = deque()  # until when, how many replies, for whom
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.address: Address | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def send(self, packed: bytes, count: int, on_replies: OnReplies) -> None:
        """Send `count` commands; `on_replies` is called once, with as many replies or with what went wrong."""
        if self._transport is None:
            on_replies(StoreUnavailable("the connection is lost"))
            return
        deadline = self._loop.time() + REPLY_TIMEOUT_SECONDS
        self._pending.append((deadline, count, on_replies))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check_timeout)
        self._transport.write(packed)

    async def call(self, *commands: Command) -> Replies:
        """Send commands and wait for the replies, errors among them.

        Raises:
            StoreUnavailable: they did not come.
        """
        future: asyncio.Future[Replies] = self._loop.create_future()

        def settle(replies: Replies | StoreUnavailable) -> None:
            if future.done():
                return
            if isinstance(replies, StoreUnavailable):
                future.set_exception(replies)
            else:
                future.set_result(replies)

        self.send(b"".join(map(pack, commands)), len(commands), settle)
        return await future

    def abort(self) -> None:
        """Give up on what is due, now."""
        if self._transport is not None:
            self._transport.abort()
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._on_reply(reply)
        except (hiredis.ProtocolError, IndexError):  # no RESP, or more replies than commands: no telling whose is whose
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - all ends are the same to us
        if self._transport is None:
            return
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        pending, self._pending = self._pending, deque()
        self._on_lost()  # first: who is told of a lost batch must not send the next one here
        for *_, on_replies in pending:
            on_replies(StoreUnavailable("the connection was lost"))

    def _on_reply(self, reply: Any) -> None:
        self._replies.append(reply)
        _, count, on_replies = self._pending[0]
        if len(self._replies) < count:
            return
        replies, self._replies = self._replies, []
        self._pending.popleft()
        on_replies(replies)

    def _check_timeout(self) -> None:
        """One timer for all that is due, set anew when it rings: one for each would cost every batch."""
        self._timer = None
        if not self._pending:
            return
        deadline, *_ = self._pending[0]
        if deadline <= self._loop.time():
            self.abort()
        else:
            self._timer = self._loop.call_at(deadline, self._check_timeout)


async def open_connection(
    store: redis.asyncio.Redis, on_lost: Callable[[], None], address: Address | None = None
) -> Connection:
    """Connect to where `store` would (or to another address as it would), log in and choose the database.

    Raises:
        StoreUnavailable: it cannot be reached, refuses the login, or no Sentinel says where it is.
    """
    connection = Connection(on_lost)
    connection.address = address or await primary_address(store)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            login = await _connect(store, connection)
        _require_login(login, await connection.call(*login))
    except (OSError, TimeoutError) as exc:
        raise StoreUnavailable(f"the store cannot be reached ({type(exc).__name__})") from exc
    except BaseException:
        connection.abort()
        raise
    return connection


async def _connect(store: redis.asyncio.Redis, connection: Connection) -> list[Command]:
    """Open the transport. Returns the commands that log in."""
    pool = store.connection_pool
    template: Any = pool.make_connection()  # type: ignore[no-untyped-call] # never connected: it knows the address, the login and how to do TLS
    loop = asyncio.get_running_loop()
    path = getattr(template, "path", None)
    if path and not connection.address:
        await loop.create_unix_connection(lambda: connection, path)
    else:
        connection.address = connection.address or (template.host, template.port)
        with_tls = template.ssl_context.get() if hasattr(template, "ssl_context") else None
        await loop.create_connection(lambda: connection, *connection.address, ssl=with_tls)
    login: list[Command] = [("CLIENT", "SETNAME", CLIENT_NAME)]
    if template.db:
        login.insert(0, ("SELECT", template.db))
    if template.username or template.password:
        login.insert(0, ("AUTH", *filter(None, (template.username, template.password))))
    return login


def _require_login(login: Sequence[Command], replies: Replies) -> None:
    for command, reply in zip(login, replies, strict=True):
        if isinstance(reply, ErrorReply) and command[0] != "CLIENT":  # an account need not be allowed a name
            raise StoreUnavailable(f"the store refuses the login ({reply.code})")
