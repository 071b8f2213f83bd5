"""The event loop of a worker process, in a thread of its own, in which all `async` handlers run."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from queue import SimpleQueue
from typing import Any, TypeVar

from surehook.workers.execution.leftovers import AsyncRun, LoopExecutor, create_task, current_run
from surehook.workers.execution.timeouts import Timeout

log = logging.getLogger(__name__)

T = TypeVar("T")

# The loop stops a coroutine that waits. The worker's timeout is for one that blocks the loop.
BACKSTOP_SECONDS = 1.0


class EventLoop:
    """Starts with the first `async` handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.executor = LoopExecutor()
        self.thread: threading.Thread | None = None
        self._is_closed = False
        self._starting: deque[tuple[Callable[[], None], Context]] = deque()
        self._is_waking = False

    def call(
        self, timeout: Timeout, function: Callable[[], Awaitable[object]], deadline: float, variables: Context
    ) -> BaseException | None:
        """Runs a coroutine in the loop while this thread waits; returns the exception it raised (see `start`)."""
        ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self.start(timeout, function, deadline, variables, ended.put)
        return ended.get()

    def start(
        self,
        timeout: Timeout,
        function: Callable[[], Awaitable[object]],
        deadline: float,
        variables: Context,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """Starts a coroutine in the loop, whose thread calls `on_end` with the exception it raised.

        Its context variables begin as a copy of `variables`. If it is cut off, so are the tasks it has started.
        """
        loop = self._running_loop()
        run = AsyncRun(deadline)
        variables.run(current_run.set, run)

        def start() -> None:
            # Not through the loop's task factory, which records the tasks that a run starts: this task is the run.
            asyncio.Task(_outcome(timeout, function, deadline), loop=loop).add_done_callback(end)

        def end(task: "asyncio.Task[BaseException | None]") -> None:
            run.is_over = True
            if time.monotonic() >= deadline:
                run.cancel_tasks()
            on_end(asyncio.CancelledError() if task.cancelled() else task.result())

        # Waking the loop's thread costs as much as a short run, so it is woken once for all that start until it wakes.
        self._starting.append((start, variables))
        if not self._is_waking:
            self._is_waking = True
            loop.call_soon_threadsafe(self._start_all)

    def _start_all(self) -> None:
        self._is_waking = False  # first: what is added after the last step below must wake the loop again
        while self._starting:
            start, variables = self._starting.popleft()
            variables.run(start)

    def thread_ident(self) -> int:
        """Starts the loop if it does not run."""
        self._running_loop()
        return (self.thread and self.thread.ident) or 0

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Starts a coroutine that belongs to no run."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())

    def call_soon(self, function: Callable[[], object]) -> None:
        self._running_loop().call_soon_threadsafe(function)

    def close(self) -> None:
        self._is_closed = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(_report)
                self._loop.set_task_factory(create_task)
                self._loop.set_default_executor(self.executor)
                self.thread = threading.Thread(target=self._run, args=(self._loop,), name="event-loop", daemon=True)
                self.thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs until `close()`: no handler may end it, as others still wait in it."""
        asyncio.set_event_loop(loop)
        while not self._is_closed:
            try:
                loop.run_forever()
            except BaseException:  # asyncio does not catch a SystemExit raised by a handler's task or callback
                log.exception("event loop stopped by a handler's task, restarted")
        loop.close()


def _report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an error that no coroutine awaits. asyncio would log its message, which may quote an event."""
    error = context.get("exception")
    task = context.get("task") or context.get("future")
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    facts = {"task": getattr(coroutine, "__qualname__", "")}
    if error is None:
        log.error("background task of a handler left behind", extra=facts)
    else:
        log.error("background task of a handler failed", extra=facts, exc_info=error)


async def _outcome(
    worker_timeout: Timeout, function: Callable[[], Awaitable[object]], deadline: float
) -> BaseException | None:
    try:
        async with asyncio.timeout_at(deadline):  # the loop's clock is time.monotonic()
            await _TimedSteps(function(), worker_timeout, deadline + BACKSTOP_SECONDS)
    except BaseException as exc:  # noqa: BLE001 - a handler's SystemExit must not end the loop
        return exc
    return None


class _TimedSteps:
    """A coroutine with a timeout on each of its steps, so that the timeout hits one that blocks, not one that waits."""

    def __init__(self, coroutine: Awaitable[object], timeout: Timeout, deadline: float) -> None:
        self._steps: Any = coroutine.__await__()
        self._timeout = timeout
        self._deadline = deadline

    def __await__(self) -> "_TimedSteps":
        return self

    def __iter__(self) -> "_TimedSteps":
        return self

    def __next__(self) -> object:
        return self._step(lambda: self._steps.send(None))

    def send(self, value: object) -> object:
        return self._step(lambda: self._steps.send(value))

    def throw(self, *error: Any) -> object:
        return self._step(lambda: self._steps.throw(*error))

    def close(self) -> None:
        self._steps.close()

    def _step(self, step: Callable[[], object]) -> object:
        awaited: list[object] = []
        error = self._timeout.call(lambda: awaited.append(step()), self._deadline)
        if error is None:
            return awaited[0]
        if type(error) is StopIteration:  # the end: its frames refer to it, and would keep the event in memory
            error.__traceback__ = None
        try:
            raise error
        finally:
            del error
