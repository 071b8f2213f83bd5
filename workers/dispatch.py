"""One run of a handler: with its timeout, and whatever it does turned into a value."""

import asyncio
import contextlib
import faulthandler
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import FrameType

from shared.models import Event
from workers.outcomes import HandlerTimeout, Permanent, RetryLater
from workers.registry import Handler

STDERR = 2
CANCEL_SECONDS = 1.0
BACKSTOP_SECONDS = 1.0
OVERRUN_SECONDS = 5.0


class Ending(Enum):
    """How a run ended; the word stands in attempts, logs and metrics."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LATER = "later"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a handler may know of its own run: its number from 1, and when it will be stopped."""

    number: int
    deadline: datetime
    is_ours: Callable[[], bool] = field(repr=False)
    """False once another worker has taken over: stop, the result will not count."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over."""

    ending: Ending
    began_at: datetime
    elapsed_seconds: float
    error: BaseException | None = None


class Dispatcher:
    """Runs handlers in the main thread of a process, the one where a timeout's signal arrives."""

    def __init__(self, default_timeout_seconds: float) -> None:
        self._default_timeout_seconds = default_timeout_seconds
        self._runner = asyncio.Runner()

    def timeout_of(self, handler: Handler) -> float:
        return handler.timeout_seconds or self._default_timeout_seconds

    def run(self, handler: Handler, event: Event, number: int, is_ours: Callable[[], bool]) -> Run:
        began_at = datetime.now(UTC)
        began = time.monotonic()
        timeout = self.timeout_of(handler)
        attempt = Attempt(number, began_at + timedelta(seconds=timeout), is_ours)
        error: BaseException | None = None
        try:
            with (
                _alarm(timeout + (BACKSTOP_SECONDS if handler.is_async else 0)),
                _last_resort(timeout + OVERRUN_SECONDS),
            ):
                self._call(handler, event, attempt, timeout)
        except BaseException as exc:  # noqa: BLE001 - whatever a user's function does ends its run, not the worker
            error = exc
        elapsed = time.monotonic() - began
        if elapsed >= timeout:
            # Decided by the clock: the handler may have swallowed the exception, or turned it into another.
            error = error if isinstance(error, HandlerTimeout) else HandlerTimeout(f"ran longer than {timeout:g} s")
        return Run(_ending(error), began_at, elapsed, error)

    def _call(self, handler: Handler, event: Event, attempt: Attempt, timeout: float) -> None:
        arguments = (event, attempt) if handler.takes_attempt else (event,)
        if not handler.is_async:
            handler.function(*arguments)
            return
        try:
            self._runner.run(_awaited(handler.function(*arguments), timeout))
        except HandlerTimeout:
            # The loop was torn out of the middle of something: the next handler gets a new one.
            self._abandon_loop()
            raise

    def _abandon_loop(self) -> None:
        """Cancel what the handler left in its loop, unless that does not let itself be cancelled either."""
        torn, self._runner = self._runner, asyncio.Runner()
        with contextlib.suppress(HandlerTimeout), _alarm(CANCEL_SECONDS):
            torn.close()

    def close(self) -> None:
        self._runner.close()


async def _awaited(coroutine: Awaitable[object], timeout_seconds: float) -> None:
    # The alarm below is for coroutines that block: one that waits is better stopped by its loop, for an exception
    # that a signal raises between two of its steps never reaches it.
    async with asyncio.timeout(timeout_seconds):
        await coroutine


@contextlib.contextmanager
def _last_resort(seconds: float) -> Iterator[None]:
    """End the process when a handler cannot be stopped, with the place where it hangs on stderr.

    The watchdog is a thread of C: it needs no lock of Python's, which the handler may hold.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise HandlerTimeout(f"ran longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ending(error: BaseException | None) -> Ending:
    match error:
        case None:
            return Ending.DONE
        case HandlerTimeout():
            return Ending.TIMED_OUT
        case RetryLater():
            return Ending.LATER
        case Permanent():
            return Ending.PERMANENT
        case _:
            return Ending.FAILED
