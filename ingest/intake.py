"""The intake: hands events to the store, a batch in flight at a time, and answers after the fsync.

Whatever arrives while a batch is in flight rides in the next one (group commit), so one fsync pays for all of it and a
lone event waits for nobody. A store that is gone, slow or not durable is a refusal, never a wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ingest.metrics import DoorMetrics
from shared.errors import NotDurable, StoreUnavailable
from shared.events import Envelope
from shared.keys import EVENTS_QUEUE, Keys
from shared.scripts import Script
from shared.settings import Settings
from shared.store import REQUIRED, close_async, connect_async, refuse_unless_durable
from shared.vault import Vault

log = logging.getLogger(__name__)

# Connecting (0.4 s) and waiting for the reply together stay under a second; FusionAuth's read timeout is 2 s.
REPLY_TIMEOUT_SECONDS = 0.5
CHECK_EVERY_SECONDS = 5.0
CHECK_AGAIN_SECONDS = 0.25
LARGEST_BATCH = 256
LARGEST_BATCH_BYTES = 4 * 1024 * 1024

Waiting = tuple[Envelope, "asyncio.Future[Outcome]"]


class Outcome(Enum):
    """What became of an event."""

    STORED = "stored"
    DUPLICATE = "duplicate"


class Intake:
    """One per process. `accept` may be called once `run` is under way."""

    def __init__(self, settings: Settings, metrics: DoorMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._script = Script("accept", Keys(settings.key_prefix))
        self._vault = Vault(settings.encryption_keys)
        self._store = connect_async(settings, timeout_seconds=REPLY_TIMEOUT_SECONDS, redis_connect_func=self._greet)
        self._waiting: list[Waiting] = []
        self._arrival = asyncio.Event()
        self._loss = asyncio.Event()
        self._reason: str | None = "not checked yet"
        self._refusal: str | None = None
        self._is_stopping = False

    @property
    def is_ready(self) -> bool:
        return self._reason is None

    async def accept(self, envelope: Envelope) -> Outcome:
        """Store an event, or find that it is stored already. Returns after the fsync.

        Raises:
            StoreUnavailable: it is not known to be stored; the sender may send it again.
        """
        if not self.is_ready or self._is_stopping:
            raise StoreUnavailable
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((envelope, future))
        self._arrival.set()
        return await future

    async def run(self) -> None:
        """Work until `stop`. Not to be cancelled: the store's client can swallow that, and we would never end."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._send_batches())
        finally:
            self._reason = "stopped"
            self._refuse_waiting()
            await close_async(self._store)

    def stop(self) -> None:
        """What is in flight is answered, nothing more is taken, and `run` ends."""
        self._is_stopping = True
        self._arrival.set()
        self._loss.set()

    async def _send_batches(self) -> None:
        while not self._is_stopping:
            await self._arrival.wait()
            if batch := self._next_batch():
                await self._send(batch)

    def _next_batch(self) -> list[Waiting]:
        """The oldest that wait, as many as the store takes within the reply's timeout."""
        count = size = 0
        for envelope, _ in self._waiting[:LARGEST_BATCH]:
            size += len(envelope.body)
            if count and size > LARGEST_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        if not self._waiting:
            self._arrival.clear()
        return [entry for entry in batch if not entry[1].done()]

    async def _send(self, batch: Sequence[Waiting]) -> None:
        replies: Sequence[Any] = [StoreUnavailable()] * len(batch)
        try:
            pipeline = self._store.pipeline(transaction=False)
            for envelope, _ in batch:
                pipeline.execute_command(*self._command(envelope))
            answers = await pipeline.execute(raise_on_error=False)
            replies = [
                await self._with_script(envelope) if isinstance(answer, NoScriptError) else answer
                for (envelope, _), answer in zip(batch, answers, strict=True)
            ]
            self._tell_refusal(replies)
        except Exception as exc:  # noqa: BLE001 - whatever it is, nobody may wait for an answer that never comes
            self._lose(exc)
            self._refuse_waiting()
        self._settle(batch, replies)

    def _tell_refusal(self, replies: Sequence[Any]) -> None:
        """The store is there but takes no event (out of memory, a replica after a failover): one line, not a flood."""
        kind = next((type(reply).__name__ for reply in replies if isinstance(reply, Exception)), None)
        if kind is not None and kind != self._refusal:
            log.error("store refuses events", extra={"error_type": kind})
        self._refusal = kind

    def _settle(self, batch: Sequence[Waiting], replies: Sequence[Any]) -> None:
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():
                continue  # the sender hung up meanwhile
            if isinstance(reply, Exception):
                future.set_exception(StoreUnavailable())
            else:
                future.set_result(Outcome.STORED if reply == 1 else Outcome.DUPLICATE)

    def _refuse_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._arrival.clear()
        self._settle(waiting, [StoreUnavailable()] * len(waiting))

    def _command(self, envelope: Envelope) -> tuple[Any, ...]:
        return self._script.command(self._arguments(envelope))

    def _arguments(self, envelope: Envelope) -> tuple[Any, ...]:
        body, key_id = self._vault.seal(envelope.body)  # nothing readable leaves this process
        return (
            envelope.event_id,
            envelope.event_type,
            envelope.tenant_id,
            envelope.user_id,
            envelope.application_id,
            "webhook",
            body,
            EVENTS_QUEUE,
            f"{self._settings.handler_timeout:g}",
            key_id,
        )

    async def _with_script(self, envelope: Envelope) -> Any:
        """After a SCRIPT FLUSH the store knows our scripts no more; nothing was run then."""
        command = ("EVAL", self._script.source, 0, *self._arguments(envelope))
        return await self._store.execute_command(*command)  # type: ignore[no-untyped-call]

    async def _watch(self) -> None:
        """Check at start, after a loss until it is mended, and every few seconds what the store promises."""
        while not self._is_stopping:
            with contextlib.suppress(RedisError, OSError, NotDurable):
                await self._check()
            if not self.is_ready:
                await asyncio.sleep(CHECK_AGAIN_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_SECONDS):
                    await self._loss.wait()

    async def _check(self) -> None:
        try:
            await self._store.ping()
            await refuse_lossy(self._settings, self._store.config_get)
        except (RedisError, OSError, NotDurable) as exc:
            self._lose(exc)
            raise
        if not self.is_ready:
            log.info("store is ready")
        self._reason = None
        if not self._is_stopping:
            self._loss.clear()
        self._metrics.set_not_ready(None)

    async def _greet(self, connection: Any) -> None:
        """On every new connection: nothing is sent to a server whose promises were not read on that very connection."""
        await connection.on_connect()

        async def config_get(*names: str) -> Any:
            await connection.send_command("CONFIG", "GET", *names)
            found = await connection.read_response()
            return dict(zip(map(_text, found[::2]), map(_text, found[1::2]), strict=True))

        try:
            await refuse_lossy(self._settings, config_get)
        except NotDurable as exc:
            # The client lets connection errors out as they are and closes what it opened.
            raise StoreConnectionError(str(exc)) from exc

    def _lose(self, exc: Exception) -> None:
        cause = exc.__cause__ if isinstance(exc.__cause__, NotDurable) else exc
        reason = "not_durable" if isinstance(cause, NotDurable) else "store_unavailable"
        if self._reason != reason:
            log.error("store is not ready", extra={"reason": str(cause) if reason == "not_durable" else reason,
                                                   "error_type": type(cause).__name__})  # fmt: skip
        self._reason = reason
        self._loss.set()
        self._metrics.set_not_ready(reason)


async def refuse_lossy(settings: Settings, config_get: Callable[..., Awaitable[Any]]) -> None:
    """Ask the store for what `DURABILITY` needs.

    Raises:
        NotDurable: it would lose what we acknowledge.
    """
    if settings.durability != "fsync":
        return
    try:
        found = await config_get(*REQUIRED)
    except ResponseError:  # a managed store, or an account that may not ask
        found = {}
    refuse_unless_durable(found)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
