"""One run of a handler: with its timeout, and whatever it does turned into a value."""

import inspect
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, Protocol

from surehook.shared.models import Event
from surehook.workers.execution.event_loop import EventLoop
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.handlers.attempt import Attempt
from surehook.workers.handlers.errors import HandlerTimeout, Permanent, RetryLater
from surehook.workers.handlers.registry import Handler


class RunStatus(Enum):
    """How a run ended; the word stands in attempts, logs and metrics."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LATER = "later"
    PERMANENT = "permanent"


class RunResult(NamedTuple):
    """A run that is over."""

    ending: RunStatus
    began_at: datetime
    elapsed_seconds: float
    error: BaseException | None = None


class RunContext(Protocol):
    """Where a handler runs: a thread with its alarm, which notes when the run must have ended."""

    alarm: Timeout

    def begin(self, due_at: float) -> None: ...

    def is_ours(self) -> bool: ...


class Runner:
    """Runs plain handlers in the thread that calls, `async` ones in the process's loop while that thread waits."""

    def __init__(self, default_timeout_seconds: float) -> None:
        self._default_timeout_seconds = default_timeout_seconds
        self._coroutines = EventLoop()

    def timeout_of(self, handler: Handler) -> float:
        return handler.timeout_seconds or self._default_timeout_seconds

    def run(self, handler: Handler, event: Event, number: int, place: RunContext) -> RunResult:
        timeout = self.timeout_of(handler)
        began_at = datetime.now(UTC)
        arguments: tuple[object, ...] = (event,)
        if handler.takes_attempt:
            arguments = (event, Attempt(number, began_at + timedelta(seconds=timeout), place.is_ours))
        began = time.monotonic()
        place.begin(began + timeout)
        call = self._coroutines.call if handler.is_async else self._call
        error = call(place.alarm, lambda: handler.function(*arguments), began + timeout)
        elapsed = time.monotonic() - began
        if elapsed >= timeout:
            # Decided by the clock: the handler may have swallowed the exception, or turned it into another.
            error = error if isinstance(error, HandlerTimeout) else HandlerTimeout()
            error.args = (f"ran longer than {timeout:g} s",)
        return RunResult(_ending(error), began_at, elapsed, error)

    def _call(self, alarm: Timeout, function: Callable[[], Any], due_at: float) -> BaseException | None:
        """A plain function; but a decorator without `async`, say, gives a coroutine, of which nothing has run yet."""
        returned: list[Any] = []
        error = alarm.call(lambda: returned.append(function()), due_at)
        if error is not None or not inspect.isawaitable(returned[0]):
            return error
        return self._coroutines.call(alarm, returned.pop, due_at)

    def close(self) -> None:
        self._coroutines.close()


def _ending(error: BaseException | None) -> RunStatus:
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
