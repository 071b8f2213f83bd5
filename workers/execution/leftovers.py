"""Work that goes on after its run is over: threads of the loop's executor, tasks, and threads of a user's own.

It may hold what later runs need, and it works beside the retry of its event. No other work in the process can stop a
thread, so the process is replaced, as with a handler that does not stop. Work of a run that ended in time may go on, as
in any program, unless it occupies every thread of the executor.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from surehook.workers.execution.timeouts import STUCK_SECONDS

P = ParamSpec("P")
T = TypeVar("T")


class AsyncRun:
    """One run in the event loop, and the tasks it has started."""

    __slots__ = ("deadline", "is_over", "tasks")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_over = False
        self.tasks: WeakSet[asyncio.Task[Any]] | None = None
        """The tasks that the handler has started. Created with the first: a WeakSet takes as long as a short run."""

    def add(self, task: asyncio.Task[Any]) -> None:
        if self.tasks is None:
            self.tasks = WeakSet()
        self.tasks.add(task)

    def has_tasks(self) -> bool:
        return any(not task.done() for task in list(self.tasks or ()))

    def cancel_tasks(self) -> None:
        for task in list(self.tasks or ()):
            task.cancel()


# Each run has a context of its own, and its tasks have copies of it.
current_run: ContextVar[AsyncRun | None] = ContextVar("surehook_run", default=None)


def create_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """The loop's task factory: remembers which run a task belongs to."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    run = current_run.get()
    if run is not None:
        run.add(task)
    return task


class LoopExecutor(ThreadPoolExecutor):
    """The event loop's default executor (`asyncio.to_thread`, `getaddrinfo`). It knows which run occupies a thread."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="event-loop-thread")
        self._occupied_by: dict[int, AsyncRun | None] = {}

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        return super().submit(self._work, current_run.get(), partial(function, *arguments, **options))

    def _work(self, run: AsyncRun | None, function: Callable[[], T]) -> T:
        thread = threading.get_ident()
        self._occupied_by[thread] = run
        try:
            return function()
        finally:
            del self._occupied_by[thread]

    def is_occupied_by(self, run: AsyncRun) -> bool:
        return run in list(self._occupied_by.values())

    def is_exhausted(self, now: float) -> bool:
        """True if runs that are over occupy every thread, and have done so past their deadline."""
        runs = list(self._occupied_by.values())
        left = [run for run in runs if run is not None and run.is_over and run.deadline + STUCK_SECONDS <= now]
        return len(left) >= self._max_workers

    def has(self, thread: threading.Thread) -> bool:
        return thread in self._threads


class CutOffRuns:
    """The runs that were cut off at their deadline, until it is known whether they have left work behind."""

    def __init__(self) -> None:
        self._runs: deque[tuple[float, float, AsyncRun | None]] = deque()
        self._first_seen: WeakKeyDictionary[threading.Thread, float] = WeakKeyDictionary()
        self._has_ticked = False

    def add(self, started_at: float, deadline: float, run: AsyncRun | None) -> None:
        self._runs.append((started_at, deadline, run))

    def has_left_work(self, now: float, executor: LoopExecutor, ours: Collection[threading.Thread]) -> bool:
        """Called at each tick. Each run is looked at once, STUCK_SECONDS after its deadline.

        A thread that was started while the run was going on may belong to another run; then a process is replaced
        that need not be, which costs little.
        """
        threads = [each for each in threading.enumerate() if each not in ours and not executor.has(each)]
        for thread in threads:
            self._first_seen.setdefault(thread, now if self._has_ticked else float("-inf"))
        self._has_ticked = True
        has_left = False
        for _ in range(len(self._runs)):
            started_at, deadline, run = each = self._runs.popleft()
            if deadline + STUCK_SECONDS > now:
                self._runs.append(each)
                continue
            has_left = has_left or any(self._first_seen[thread] >= started_at for thread in threads)
            has_left = has_left or (run is not None and (executor.is_occupied_by(run) or run.has_tasks()))
        return has_left
