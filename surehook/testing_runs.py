"""Runs a handler in a test: with its timeout, its resources, and the `@around` functions outside."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

from surehook.shared.models import Event
from surehook.workers.execution.hooks import Hooks
from surehook.workers.execution.resources import Resources
from surehook.workers.execution.runner import Runner, RunResult, result_of
from surehook.workers.execution.timeouts import Timeout, Watchdog
from surehook.workers.handlers import hooks, resources
from surehook.workers.handlers.options import location_of
from surehook.workers.handlers.registry import Handler
from surehook.workers.handlers.resources import Resource

TIMEOUT_SECONDS = 30.0  # the default of SUREHOOK_HANDLER_TIMEOUT
MOST_RUNS = 100  # RetryLater spends no retry, so a handler could postpone itself forever


class Run:
    """The run context of a handler under test, which also runs it."""

    def __init__(self, handler: Handler, replaced: Mapping[Any, object] | None) -> None:
        self.timeout = Timeout()
        self.runner = Runner(TIMEOUT_SECONDS)
        self.resources = Resources(resources.declared, self.runner.event_loop)
        for key, value in (replaced or {}).items():
            self.resources.supply(_resource_of(key), value)
        self.runner.hooks = Hooks(self.resources, hooks.declared_arounds)
        self._handler = handler
        self._is_ours = True

    def needed(self) -> Iterator[Resource]:
        """The resources to be opened, each when those before it are open."""
        functions = [(self._handler.function, self._handler.parameters)]
        functions += [(each.function, each.parameters) for each in hooks.declared_arounds]
        for function, parameters in functions:
            yield from self.resources.needed_for(function, parameters.extras, location_of(function))

    def run(self, event: Event, attempt: int, *, is_ours: bool) -> RunResult:
        self._is_ours = is_ours
        return self.runner.run(self._handler, event, attempt, self)

    async def run_here(self, event: Event, attempt: int, *, is_ours: bool) -> RunResult:
        """Runs an `async` handler in the running loop, a plain one as `run` does."""
        if not self._handler.is_async:
            return self.run(event, attempt, is_ours=is_ours)
        self._is_ours = is_ours
        timeout, started_at, started = self.runner.timeout_of(self._handler), datetime.now(UTC), time.monotonic()
        function = self.runner.bound(self._handler, event, attempt, started_at, self)

        async def outcome() -> BaseException | None:
            try:
                async with asyncio.timeout(timeout):
                    await function()
            except BaseException as exc:  # noqa: BLE001 - a handler's own
                return exc
            return None

        task = asyncio.get_running_loop().create_task(outcome(), context=Context())
        try:
            error = await asyncio.shield(task)
        except asyncio.CancelledError:  # the test is cancelled, not the handler
            task.cancel()
            raise
        return result_of(error, started_at, time.monotonic() - started, timeout)

    def start_run(self, deadline: float, thread: int = 0) -> None:
        """Does nothing: a test has no supervisor to inform."""

    def is_ours(self) -> bool:
        return self._is_ours


@contextlib.contextmanager
def open_run(handler: Handler, replaced: Mapping[Any, object] | None) -> Iterator[Run]:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("call this from the main thread, where Ctrl-C can stop the handler")
    run = Run(handler, replaced)
    needed = list(dict.fromkeys(run.needed()))
    if (handler.is_async or any(each.is_async for each in needed)) and _is_in_a_loop():
        raise RuntimeError("in an async test, await run_handler_async or deliver_async: they share the test's loop")
    with _watched(run):
        for each in needed:
            run.resources.open_one(each, lambda: False)
        yield run


@contextlib.asynccontextmanager
async def open_run_here(handler: Handler, replaced: Mapping[Any, object] | None) -> AsyncIterator[Run]:
    """Resources are opened and closed in the calling task."""
    run = Run(handler, replaced)
    with _watched(run):
        async with contextlib.AsyncExitStack() as stack:
            for each in run.needed():
                arguments = run.resources.values_for(each.function, each.extras, each.location)
                if each.is_async:
                    opened = contextlib.asynccontextmanager(each.function)(**arguments)
                    run.resources.supply(each, await stack.enter_async_context(opened))
                else:
                    opened_plain = contextlib.contextmanager(each.function)(**arguments)
                    run.resources.supply(each, stack.enter_context(opened_plain))
            yield run


@contextlib.contextmanager
def _watched(run: Run) -> Iterator[None]:
    watchdog = Watchdog([run.timeout], lambda _: None, lambda: None)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()
        watchdog.join()
        run.resources.close()
        run.runner.close()


def _resource_of(key: Any) -> Resource:
    """
    Raises:
        ValueError: no resource is of that type, or is that function.
    """
    for each in resources.declared:
        if each.function is key or each.type() == key:
            return each
    name = getattr(key, "__name__", str(key))
    raise ValueError(f"resources={{{name}: …}} replaces nothing: no @resource yields a {name}, or is called so")


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
