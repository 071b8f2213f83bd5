"""Timeouts for handlers in threads: an exception raised in the handler's thread, and only inside the handler."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterable

from surehook.workers.background import BackgroundThread
from surehook.workers.handlers.errors import HandlerTimeout

TICK_SECONDS = 0.1
# A handler that the exception does not stop within this is stuck, and its process is replaced.
STUCK_SECONDS = 1.0
_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in_thread.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING = ctypes.py_object()  # C's NULL: cancels an exception that is set and not raised yet


class _Run:
    """One run. The handler's end and its timeout compete for the token: the first to take it has decided."""

    __slots__ = ("deadline", "has_fired", "thread", "token")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.thread = threading.get_ident()
        self.token = [None]
        self.has_fired = False


class Timeout:
    """The timeout of the runs of one worker or slot, of which one is under way at a time."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def call(self, function: Callable[[], object], deadline: float) -> BaseException | None:
        """Calls the function and returns what it raised. HandlerTimeout is raised in it at most once, at the deadline.

        Python raises that exception between any two steps of this thread, so perhaps after the function's end, in
        these lines, but only once. So disarming is called again then, which is safe.
        """
        run = _Run(deadline)
        error: BaseException | None = None
        try:
            try:
                self._run = run
                function()
            except BaseException as exc:  # noqa: BLE001 - anything a user's function raises ends its run, not the worker
                error = exc
            _disarm(run)
        except HandlerTimeout as exc:
            error = exc
            _disarm(run)
        self._run = None
        return error

    def fire_if_due(self, now: float) -> None:
        """Called by the watchdog."""
        run = self._run
        if run is not None and run.deadline <= now:
            _fire(run)

    def is_stuck(self, now: float) -> bool:
        run = self._run
        return run is not None and run.deadline + STUCK_SECONDS <= now


def _fire(run: _Run) -> None:
    try:
        run.token.pop()
    except IndexError:
        return
    _raise_in_thread(run.thread, HandlerTimeout)
    run.has_fired = True


def _disarm(run: _Run) -> None:
    """After this, the timeout raises nothing any more."""
    try:
        run.token.pop()
    except IndexError:
        while not run.has_fired:
            time.sleep(0)
        _raise_in_thread(run.thread, _NOTHING)


class Watchdog(BackgroundThread):
    """Fires due timeouts, and shows that the process is not stalled: `beat` is called at each tick."""

    def __init__(
        self, timeouts: Iterable[Timeout], beat: Callable[[float], None], on_stuck: Callable[[], None]
    ) -> None:
        super().__init__("watchdog")
        self._timeouts = tuple(timeouts)
        self._beat = beat
        self._on_stuck = on_stuck
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()

    def work(self) -> None:
        while not self._done.wait(TICK_SECONDS):
            now = time.monotonic()
            self._beat(now)
            for timeout in self._timeouts:
                timeout.fire_if_due(now)
                if timeout.is_stuck(now):
                    self._on_stuck()
