"""A pipelined connection to the store: packed commands out, replies in, matched by their order.

A general client spends more time on a batch than the store does: pools, locks, a task switch for each reply. This one
speaks only the protocol, with hiredis's packer and reader. The address, TLS and the login come from redis-py.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis.asyncio

from surehook.ingest.store.sentinel import Address, primary_address
from surehook.shared.errors import StoreRefused, StoreUnavailable
from surehook.shared.store import CONNECT_TIMEOUT_SECONDS
from surehook.shared.store_errors import StoreFault, advice, fault_of_reply

# FusionAuth's read timeout is 2 s. A shorter one would take a store for dead that writes a large event of another
# process, because it answers no other command during that time.
REPLY_TIMEOUT_SECONDS = 0.8
# A connection that is silent for longer is lost. Its callers stop waiting earlier: a disk that stalls for a second must
# not cost a healthy connection.
SILENCE_SECONDS = 3.0
# The speed that a store has at least, from the command to its disk. A large batch gets the time that it needs.
MIN_BYTES_PER_SECOND = 16 * 1024 * 1024
CLIENT_NAME = "surehook-ingest"

Command = Sequence[str | bytes | int | float]
Replies = list[Any]
OnReplies = Callable[[Replies | StoreUnavailable], None]


class ErrorReply(Exception):
    """An error reply of the store. Its first word is the code: NOSCRIPT, OOM, READONLY."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]

    @property
    def fault(self) -> StoreFault:
        """The meaning of the reply."""
        return fault_of_reply(str(self))


def pack(command: Command) -> bytes:
    """Encode a command in the store's protocol."""
    words: Any = tuple(command)
    packed: bytes = hiredis.pack_command(words)
    return packed


class Connection(asyncio.Protocol):
    """Replies arrive in the order in which batches were sent. A batch that times out closes the connection."""

    def __init__(self, on_lost: Callable[[], None], timeout_seconds: float = SILENCE_SECONDS) -> None:
        self._on_lost = on_lost
        self._timeout_seconds = timeout_seconds
        self.loss = "the connection was lost"
        """The reason for the loss, once it is lost."""
        self._reader = hiredis.Reader(replyError=ErrorReply)
        self._replies: Replies = []
        self._pending: deque[tuple[float, int, OnReplies]] = deque()  # deadline, number of replies, receiver
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.address: Address | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def send(self, packed: bytes, count: int, on_replies: OnReplies) -> None:
        """Send `count` commands; `on_replies` is called once, with as many replies or with an error."""
        if self._transport is None:
            on_replies(StoreUnavailable("the connection is lost"))
            return
        # The store works on one batch after the other: the time of a large one counts for those behind it too.
        begins_at = self._loop.time()
        if self._pending:
            begins_at = max(begins_at, self._pending[-1][0] - self._timeout_seconds)
        deadline = begins_at + self._timeout_seconds + len(packed) / MIN_BYTES_PER_SECOND
        self._pending.append((deadline, count, on_replies))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._check_timeout)
        self._transport.write(packed)

    async def call(self, *commands: Command) -> Replies:
        """Send commands and wait for the replies, errors among them.

        Raises:
            StoreUnavailable: the replies did not arrive.
        """
        return await self.send_and_wait(b"".join(map(pack, commands)), len(commands))

    async def send_and_wait(self, packed: bytes, count: int) -> Replies:
        """Send `count` packed commands and wait, as `call` does.

        Raises:
            StoreUnavailable: the replies did not arrive.
        """
        future: asyncio.Future[Replies] = self._loop.create_future()

        def complete(replies: Replies | StoreUnavailable) -> None:
            if future.done():
                return
            if isinstance(replies, StoreUnavailable):
                future.set_exception(replies)
            else:
                future.set_result(replies)

        self.send(packed, count, complete)
        return await future

    def abort(self) -> None:
        """Close the connection now; batches without replies fail."""
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
        except (hiredis.ProtocolError, IndexError):  # not RESP, or more replies than commands
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause does not matter
        if self._transport is None:
            return
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        pending, self._pending = self._pending, deque()
        self._on_lost()  # first: a receiver that retries must not use this connection
        for *_, on_replies in pending:
            on_replies(StoreUnavailable(self.loss))

    def _on_reply(self, reply: Any) -> None:
        self._replies.append(reply)
        _, count, on_replies = self._pending[0]
        if len(self._replies) < count:
            return
        replies, self._replies = self._replies, []
        self._pending.popleft()
        on_replies(replies)

    def _check_timeout(self) -> None:
        """Check the oldest deadline. One timer serves all batches; a timer for each would slow them down."""
        self._timer = None
        if not self._pending:
            return
        deadline, *_ = self._pending[0]
        if deadline <= self._loop.time():
            self.loss = no_reply_within(self._timeout_seconds)
            self.abort()
        else:
            self._timer = self._loop.call_at(deadline, self._check_timeout)


def no_reply_within(seconds: float) -> str:
    """The words for a store that is silent."""
    return f"no reply within {seconds:g} s"


async def open_connection(
    store: redis.asyncio.Redis,
    on_lost: Callable[[], None],
    address: Address | None = None,
    timeout_seconds: float = SILENCE_SECONDS,
) -> Connection:
    """Connect with the settings of `store`, to its address or to the given one; log in and select the database.

    Raises:
        StoreUnavailable: it cannot be reached, refuses the login, or no Sentinel knows its address.
    """
    connection = Connection(on_lost, timeout_seconds)
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
    template: Any = pool.make_connection()  # type: ignore[no-untyped-call] # never connected: provides address, login and TLS
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


def unavailable(reply: ErrorReply, command: str = "") -> StoreUnavailable:
    """The error for a reply that prevents all work: one that passes by itself, or one that a person must act on."""
    fault = reply.fault
    if fault.is_lasting:
        return StoreRefused(f"{advice(fault, fault.command or command)} ({fault.code})")
    return StoreUnavailable(f"the store replies {fault.code}")


def _require_login(login: Sequence[Command], replies: Replies) -> None:
    for command, reply in zip(login, replies, strict=True):
        if isinstance(reply, ErrorReply) and command[0] != "CLIENT":  # the account may lack permission for a name
            raise unavailable(reply, " ".join(map(str, command[:1])))
