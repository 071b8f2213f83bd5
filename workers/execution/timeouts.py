"""Timeouts for handlers in threads: an exception raised in the handler's thread, and in no line but the handler's."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterable

from surehook.workers.background import BackgroundThread
from surehook.workers.handlers.errors import HandlerTimeout

TICK_SECONDS = 0.1
# A handler that the exception does not stop within this is stuck, and its process takes no more.
STUCK_SECONDS = 1.0
_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING = ctypes.py_object()  # C's NULL: takes back what has not struck yet


class _Run:
    """One run. Of the handler's end and its timeout, whichever takes the token first has decided."""

    __slots__ = ("due_at", "has_rung", "thread", "token")

    def __init__(self, due_at: float) -> None:
        self.due_at = due_at
        self.thread = threading.get_ident()
        self.token = [None]
        self.has_rung = False


class Timeout:
    """The timeout of what runs in one thread."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def call(self, function: Callable[[], object], due_at: float) -> BaseException | None:
        """Call it, and return whatever it raised. HandlerTimeout is raised in it once, when it is due.

        The exception strikes between any two steps of this thread, so also after the function's end, in these lines;
        but once at most. That is why standing down is tried twice, and may be.
        """
        run = _Run(due_at)
        error: BaseException | None = None
        try:
            try:
                self._run = run
                function()
            except BaseException as exc:  # noqa: BLE001 - whatever a user's function does ends its run, not the worker
                error = exc
            _stand_down(run)
        except HandlerTimeout as exc:
            error = exc
            _stand_down(run)
        self._run = None
        return error

    def ring_if_due(self, now: float) -> None:
        """For the watchdog."""
        run = self._run
        if run is not None and run.due_at <= now:
            _ring(run)

    def is_stuck(self, now: float) -> bool:
        run = self._run
        return run is not None and run.due_at + STUCK_SECONDS <= now


def _ring(run: _Run) -> None:
    try:
        run.token.pop()
    except IndexError:
        return
    _raise_in(run.thread, HandlerTimeout)
    run.has_rung = True


def _stand_down(run: _Run) -> None:
    """From here on nothing strikes any more."""
    try:
        run.token.pop()
    except IndexError:
        while not run.has_rung:
            time.sleep(0)
        _raise_in(run.thread, _NOTHING)  # if it has not struck yet, it never does


class Watchdog(BackgroundThread):
    """Looks at all clocks of a process, and shows by that that the process can move."""

    def __init__(
        self, alarms: Iterable[Timeout], beat: Callable[[float], None], when_stuck: Callable[[], None]
    ) -> None:
        super().__init__("watchdog")
        self._alarms = tuple(alarms)
        self._beat = beat
        self._when_stuck = when_stuck
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()

    def work(self) -> None:
        while not self._done.wait(TICK_SECONDS):
            now = time.monotonic()
            self._beat(now)
            for alarm in self._alarms:
                alarm.ring_if_due(now)
                if alarm.is_stuck(now):
                    self._when_stuck()
