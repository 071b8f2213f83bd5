"""Calls a handler with its timeout, and returns a `RunResult` instead of raising."""

import asyncio
import inspect
import math
import threading
import time
from collections.abc import Callable, Collection
from contextvars import Context
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol

from surehook.shared.models import Event
from surehook.workers.execution.event_loop import EventLoop
from surehook.workers.execution.hooks import Hooks
from surehook.workers.execution.leftovers import CutOffRuns, current_run
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.handlers.attempt import Attempt
from surehook.workers.handlers.errors import HandlerTimeout, Permanent, RetryLater
from surehook.workers.handlers.hooks import DeadLetter, LetterHook
from surehook.workers.handlers.registry import Handler


class RunStatus(Enum):
    """How a run ended; attempts, logs and metrics use its value."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LATER = "later"
    PERMANENT = "permanent"


class RunResult(NamedTuple):
    """The result of a run."""

    status: RunStatus
    started_at: datetime
    elapsed_seconds: float
    error: BaseException | None = None


class RunContext(Protocol):
    """The RQ worker for which a handler runs."""

    timeout: Timeout

    def start_run(self, deadline: float, thread: int = 0) -> None:
        """Records that the handler starts now and must have ended by then, on time.monotonic().

        `thread` is where it hangs if it does not end: 0 for the calling one.
        """

    def is_ours(self) -> bool:
        """Says whether this process still holds the job."""


class Runner:
    """Runs plain handlers in the calling thread, `async` ones in the process's event loop.

    `run` waits until the handler has ended, `start` does not.
    """

    def __init__(self, default_timeout_seconds: float) -> None:
        self.default_timeout_seconds = default_timeout_seconds
        self.event_loop = EventLoop()
        self.hooks: Hooks | None = None
        """None where nothing is declared that surrounds runs or is injected into them."""
        self._cut_off = CutOffRuns()
        self.own_threads: Collection[threading.Thread] = ()
        """The threads of the process that no handler has started."""

    def timeout_of(self, handler: Handler) -> float:
        return handler.timeout_seconds or self.default_timeout_seconds

    def run(
        self, handler: Handler, event: Event, number: int, context: RunContext, *, at_most_seconds: float = math.inf
    ) -> RunResult:
        """Runs the handler's attempt of this number, until its timeout or for `at_most_seconds`."""
        timeout = min(self.timeout_of(handler), at_most_seconds)
        started_at = datetime.now(UTC)
        if self.hooks is None and not handler.parameters.accepts_attempt:  # most handlers
            function: Callable[[], Any] = partial(handler.function, event)
        else:
            function = self.bound(handler, event, number, started_at + timedelta(seconds=timeout), context)
        return self._run(function, started_at, timeout, context, is_async=handler.is_async)

    def start(
        self,
        handler: Handler,
        event: Event,
        number: int,
        context: RunContext,
        on_end: Callable[[Callable[[], RunResult]], None],
    ) -> None:
        """Starts an `async` handler's attempt of this number in the event loop.

        The loop's thread calls `on_end` with a function that gives the result, for another thread to call.
        """
        timeout, started_at = self.timeout_of(handler), datetime.now(UTC)
        function = self.bound(handler, event, number, started_at + timedelta(seconds=timeout), context)
        started, variables = time.monotonic(), Context()
        deadline = started + timeout
        context.start_run(deadline, self.event_loop.thread_ident())

        def end(error: BaseException | None) -> None:
            elapsed = time.monotonic() - started
            on_end(partial(self._result, error, started_at, started, elapsed, timeout, variables))

        self.event_loop.start(context.timeout, function, deadline, variables, end)

    def run_hook(self, hook: LetterHook, letter: DeadLetter, context: RunContext) -> RunResult:
        """Runs a function that is told of a dead letter, with the default timeout."""
        function = partial(hook.function, letter)
        if self.hooks is not None:
            function = self.hooks.bound(hook.function, hook.parameters, letter, None)
        timeout = self.default_timeout_seconds
        return self._run(function, datetime.now(UTC), timeout, context, is_async=hook.is_async)

    def _run(
        self, function: Callable[[], Any], started_at: datetime, timeout: float, context: RunContext, *, is_async: bool
    ) -> RunResult:
        started = time.monotonic()
        deadline = started + timeout
        context.start_run(deadline)
        # Empty, as in a new thread: what a handler sets there (a user, a language) belongs to its event alone.
        variables = Context()
        call = self.event_loop.call if is_async else self._call
        error = call(context.timeout, function, deadline, variables)
        return self._result(error, started_at, started, time.monotonic() - started, timeout, variables)

    def _result(
        self,
        error: BaseException | None,
        started_at: datetime,
        started: float,
        elapsed: float,
        timeout: float,
        variables: Context,
    ) -> RunResult:
        result = result_of(error, started_at, elapsed, timeout)
        if result.elapsed_seconds >= timeout:
            self._cut_off.add(started, started + timeout, variables.get(current_run))
        return result

    def bound(
        self, handler: Handler, event: object, number: int, deadline: datetime, context: RunContext
    ) -> Callable[[], Any]:
        """The handler with its arguments, and what surrounds it."""
        parameters = handler.parameters
        if self.hooks is None:
            if not parameters.accepts_attempt:
                return partial(handler.function, event)
            return partial(handler.function, event, Attempt(number, deadline, context.is_ours, handler.name))
        attempt = Attempt(number, deadline, context.is_ours, handler.name)
        function = self.hooks.bound(handler.function, parameters, event, attempt)
        if not self.hooks.arounds:
            return function
        surround = self.hooks.surrounded_async if handler.is_async else self.hooks.surrounded
        return surround(function, event, attempt)

    def _call(
        self, timeout: Timeout, function: Callable[[], Any], deadline: float, variables: Context
    ) -> BaseException | None:
        """Calls a plain function. If it returns a coroutine, as a decorator without `async` does, that runs as well."""
        returned: list[Any] = []
        error = timeout.call(lambda: returned.append(variables.run(function)), deadline)
        if error is not None or not inspect.isawaitable(returned[0]):
            return error
        return self.event_loop.call(timeout, returned.pop, deadline, variables)

    def has_left_work(self, now: float) -> bool:
        """Called at each tick: says whether the process must be replaced, because of work of runs that are over."""
        executor, loop_thread = self.event_loop.executor, self.event_loop.thread
        known = self.own_threads if loop_thread is None else (*self.own_threads, loop_thread)
        return self._cut_off.has_left_work(now, executor, known) or executor.is_exhausted(now)

    def close(self) -> None:
        self.event_loop.close()


def result_of(error: BaseException | None, started_at: datetime, elapsed_seconds: float, timeout: float) -> RunResult:
    if elapsed_seconds >= timeout:
        error = _timed_out(error)
        shown = round(timeout, 2) or timeout  # the rest of a transaction's time is no round number
        error.args = (f"ran longer than {shown:g} s",)
    return RunResult(_status(error), started_at, elapsed_seconds, error)


def _timed_out(error: BaseException | None) -> HandlerTimeout:
    """The clock decides: the handler may have swallowed the exception, or turned it into another."""
    if isinstance(error, HandlerTimeout):
        return error
    found = HandlerTimeout()
    # asyncio's timeout: the cancelled coroutine shows where the handler waited
    if isinstance(error, TimeoutError) and isinstance(error.__cause__, asyncio.CancelledError):
        found.__context__, found.__suppress_context__ = error, True  # not shown, but its frames are released
        return found.with_traceback(error.__cause__.__traceback__)
    found.__context__ = error
    return found


def _status(error: BaseException | None) -> RunStatus:
    match error:
        case None:
            return RunStatus.DONE
        case HandlerTimeout():
            return RunStatus.TIMED_OUT
        case RetryLater():
            return RunStatus.LATER
        case Permanent():
            return RunStatus.PERMANENT
        case _:
            return RunStatus.FAILED
