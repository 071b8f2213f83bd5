"""The one event loop of a worker process, in a thread of its own: where `async` handlers run beside each other."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from surehook.workers.execution.timeouts import Timeout

log = logging.getLogger(__name__)

# A coroutine that waits is stopped by its loop. The alarm is for one that blocks the loop.
BACKSTOP_SECONDS = 1.0


class EventLoop:
    """Started with the first `async` handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def call(self, alarm: Timeout, function: Callable[[], Awaitable[object]], due_at: float) -> BaseException | None:
        """Run a coroutine in the loop while this thread waits; returns whatever it raised."""
        future = asyncio.run_coroutine_threadsafe(_outcome(alarm, function, due_at), self._running_loop())
        return future.result()

    def close(self) -> None:
        self._is_closed = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=(self._loop,), name="coroutines", daemon=True).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until it is closed by us: it is not one handler's to end, and what waits in it goes on."""
        asyncio.set_event_loop(loop)
        while not self._is_closed:
            try:
                loop.run_forever()
            except BaseException:  # asyncio lets a SystemExit out that a task or a callback of a handler's raised
                log.exception("a handler's task ended the event loop, which goes on")
        loop.close()


async def _outcome(alarm: Timeout, function: Callable[[], Awaitable[object]], due_at: float) -> BaseException | None:
    try:
        async with asyncio.timeout_at(due_at):  # the loop's clock is time.monotonic()
            await _Stepped(function(), alarm, due_at + BACKSTOP_SECONDS)
    except BaseException as exc:  # noqa: BLE001 - a SystemExit of a handler's must not end the loop
        return exc
    return None


class _Stepped:
    """A coroutine whose every step is under an alarm: so the alarm strikes who blocks the loop, not who waits."""

    def __init__(self, coroutine: Awaitable[object], alarm: Timeout, due_at: float) -> None:
        self._steps: Any = coroutine.__await__()
        self._alarm = alarm
        self._due_at = due_at

    def __await__(self) -> "_Stepped":
        return self

    def __iter__(self) -> "_Stepped":
        return self

    def __next__(self) -> object:
        return self._step(lambda: self._steps.send(None))

    def send(self, value: object) -> object:
        return self._step(lambda: self._steps.send(value))

    def throw(self, *error: Any) -> object:
        return self._step(lambda: self._steps.throw(*error))

    def close(self) -> None:
        self._steps.close()

    def _step(self, take: Callable[[], object]) -> object:
        awaited: list[object] = []
        error = self._alarm.call(lambda: awaited.append(take()), self._due_at)
        if error is not None:
            raise error
        return awaited[0]
