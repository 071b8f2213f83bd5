"""The event loop of a worker process, in a thread of its own, in which all `async` handlers run."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from typing import Any, TypeVar

from surehook.workers.execution.leftovers import AsyncRun, LoopExecutor, create_task, current_run
from surehook.workers.execution.timeouts import STUCK_SECONDS, Timeout

log = logging.getLogger(__name__)

T = TypeVar("T")

# The loop stops a coroutine that waits. The thread's timeout is for one that blocks the loop.
BACKSTOP_SECONDS = 1.0
# A run that waits for the loop is given up this long after its timeout: after the end of any that has the same timeout.
GIVE_UP_SECONDS = BACKSTOP_SECONDS + STUCK_SECONDS


class NotStarted(Exception):
    """The coroutine has had no step, and will have none."""


class _Waiting:
    """A run that waits for its first step. That and the end of the wait compete for the token."""

    __slots__ = ("give_up_at", "has_begun", "on_end", "token")

    def __init__(self, give_up_at: float, on_end: Callable[[BaseException | None], None]) -> None:
        self.give_up_at = give_up_at
        self.on_end = on_end
        self.token = [None]
        self.has_begun = False

    def take(self) -> bool:
        try:
            self.token.pop()
        except IndexError:
            return False
        return True


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
        self._waiting: set[_Waiting] = set()

    def call(
        self, timeout: Timeout, function: Callable[[], Awaitable[object]], deadline: float, variables: Context
    ) -> BaseException | None:
        """Runs a coroutine in the loop while this thread waits; returns the exception it raised (see `start`)."""
        errors: list[BaseException | None] = []
        ended = threading.Lock()
        ended.acquire()

        def end(error: BaseException | None) -> None:
            errors.append(asyncio.CancelledError() if isinstance(error, NotStarted) else error)
            ended.release()

        give_up_at = deadline + GIVE_UP_SECONDS
        self.start(timeout, function, variables, on_start=lambda: deadline, on_end=end, give_up_at=give_up_at)
        ended.acquire()
        return errors[0]

    def start(
        self,
        timeout: Timeout,
        function: Callable[[], Awaitable[object]],
        variables: Context,
        *,
        on_start: Callable[[], float | None],
        on_end: Callable[[BaseException | None], None],
        give_up_at: float,
    ) -> None:
        """Starts a coroutine in the loop. `on_start` is called just before the first step, and returns the deadline, or
        None if it must not start any more. `on_end` gets the exception that was raised, or NotStarted.

        Its context variables are `variables`. If it is cut off, so are the tasks it has started.

        Args:
            give_up_at: when `give_up` ends its wait for the loop.
        """
        loop = self._running_loop()
        run, waiting = AsyncRun(), _Waiting(give_up_at, on_end)
        variables.run(current_run.set, run)

        def begin() -> float | None:
            self._waiting.discard(waiting)
            waiting.has_begun = waiting.take()
            deadline = on_start() if waiting.has_begun else None
            if deadline is not None:
                run.deadline = deadline
            return deadline

        def start() -> None:
            loop.create_task(_outcome(timeout, function, begin)).add_done_callback(end)

        def end(task: "asyncio.Task[BaseException | None]") -> None:
            run.is_over = True
            if time.monotonic() >= run.deadline:
                run.cancel_tasks()
            if waiting.has_begun:
                on_end(task.result())
            else:  # cancelled before its first step, or given up
                self._give_up(waiting)

        self._waiting.add(waiting)
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

    def give_up(self, now: float) -> bool:
        """Called at each tick. Ends the waits that have lasted too long, and says whether there were any: something
        blocks the loop that is no run, or a run that may take longer.
        """
        overdue = [each for each in self._waiting.copy() if each.give_up_at <= now]
        return sum(self._give_up(each) for each in overdue) > 0

    def _give_up(self, waiting: "_Waiting") -> bool:
        self._waiting.discard(waiting)
        has_taken = waiting.take()
        if has_taken:
            waiting.on_end(NotStarted())
        return has_taken

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
    thread_timeout: Timeout, function: Callable[[], Awaitable[object]], begin: Callable[[], float | None]
) -> BaseException | None:
    deadline = begin()
    if deadline is None:
        return NotStarted()
    try:
        async with asyncio.timeout_at(deadline):  # the loop's clock is time.monotonic()
            await _TimedSteps(function(), thread_timeout, deadline + BACKSTOP_SECONDS)
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
