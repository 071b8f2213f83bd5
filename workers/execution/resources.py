"""The resources of a worker process: opened before it takes work, closed when its handlers have ended."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

from surehook.shared.backoff import pause_seconds
from surehook.shared.log import TRACEBACK
from surehook.workers.execution.event_loop import EventLoop
from surehook.workers.execution.masking.error_text import error_text, one_line
from surehook.workers.handlers.parameters import Extra
from surehook.workers.handlers.resources import Injection, Resource

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
POLL_SECONDS = 0.05
CREDENTIALS = re.compile(r"(?<=://)[^/\s]+(?=@)")
LONGEST_REASON = 300


class Stopped(Exception):
    """The process is to stop before its resources are open."""


class Opened(Protocol):
    """Something that was opened."""

    def close(self) -> None: ...


class Resources:
    """Opens every declared resource, each behind those that it takes. `replaced` has values for some of them."""

    def __init__(
        self, declared: Iterable[Resource], event_loop: EventLoop, replaced: dict[Resource, object] | None = None
    ) -> None:
        self._injection = Injection(declared)
        self._ordered = self._injection.in_order()
        self._event_loop = event_loop
        self._values: dict[Resource, object] = dict(replaced or {})
        self._opened: list[tuple[Resource, Opened]] = []

    def __len__(self) -> int:
        return len(self._ordered)

    def open(self, is_stopping: Callable[[], bool]) -> None:
        """Opens all, and tries each again until it succeeds.

        Raises:
            Stopped: `is_stopping` became true first. What was opened is closed again.
        """
        try:
            for resource in self._ordered:
                self._open_in_the_end(resource, is_stopping)
        except BaseException:
            self.close()
            raise

    def _open_in_the_end(self, resource: Resource, is_stopping: Callable[[], bool]) -> None:
        failures = 0
        while resource not in self._values:
            if is_stopping():
                raise Stopped
            try:
                self.open_one(resource, is_stopping)
            except Stopped:
                raise
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - the user's code
                self._wait_after(resource, exc, failures, is_stopping)
                failures += 1

    def open_one(self, resource: Resource, is_stopping: Callable[[], bool]) -> None:
        """Raises what the user's function raises."""
        arguments = self.values_for(resource.function, resource.extras, resource.location)
        opened: _Plain | _Async
        opened = _Async(self._event_loop, resource, arguments) if resource.is_async else _Plain(resource, arguments)
        self._values[resource] = opened.open(is_stopping)
        self._opened.append((resource, opened))

    def needed_for(self, function: Callable[..., Any], extras: Sequence[Extra], location: str) -> list[Resource]:
        """The resources that a function takes and that are not open, each behind those that it takes itself."""
        wanted = set(self._injection.sources(function, extras, location).values())
        for resource in reversed(self._ordered):
            if resource in wanted:
                wanted |= set(self._injection.sources(resource.function, resource.extras, resource.location).values())
        return [each for each in self._ordered if each in wanted and each not in self._values]

    def supply(self, resource: Resource, value: object) -> None:
        """Takes a value from elsewhere; it is not closed here."""
        self._values[resource] = value

    def close(self) -> None:
        """Closes what is open, the last first. A failure keeps no other from being closed."""
        while self._opened:
            resource, opened = self._opened.pop()
            self._values.pop(resource, None)
            try:
                opened.close()
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - the user's code
                log.error("resource close failed", extra=_facts(resource, exc))  # noqa: TRY400 - without its values

    def values_for(self, function: Callable[..., Any], extras: Sequence[Extra], location: str) -> dict[str, object]:
        """The values for the parameters of a user's function."""
        sources = self._injection.sources(function, extras, location)
        return {name: self._values[resource] for name, resource in sources.items()}

    def _wait_after(
        self, resource: Resource, exc: BaseException, failures: int, is_stopping: Callable[[], bool]
    ) -> None:
        pause = pause_seconds(failures, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
        facts = _facts(resource, exc) | {"delay_seconds": round(pause, 1)}
        log.error("resource start failed, no work is taken", extra=facts)
        until = time.monotonic() + pause
        while time.monotonic() < until and not is_stopping():
            time.sleep(POLL_SECONDS)


def _facts(resource: Resource, exc: BaseException) -> dict[str, object]:
    """No event is involved, so the message has no personal data. It may quote an address with its password."""
    text = error_text(exc)
    reason = one_line(CREDENTIALS.sub("***", f"{text.type_name}: {text.message}"))[:LONGEST_REASON]
    shown = CREDENTIALS.sub("***", "".join(part.text for part in text.traceback))
    return {"resource": resource.name, "reason": reason, TRACEBACK: shown}


class _Plain:
    """A plain generator, in the thread that opens and closes it."""

    def __init__(self, resource: Resource, arguments: dict[str, object]) -> None:
        self._context = contextlib.contextmanager(resource.function)(**arguments)

    def open(self, _: Callable[[], bool]) -> object:
        return self._context.__enter__()

    def close(self) -> None:
        self._context.__exit__(None, None, None)


class _Async:
    """An `async` generator, in a task that lives as long as it: libraries want both ends in one task."""

    def __init__(self, event_loop: EventLoop, resource: Resource, arguments: dict[str, object]) -> None:
        self._context = contextlib.asynccontextmanager(resource.function)(**arguments)
        self._event_loop = event_loop
        self._value: Future[object] = Future()
        self._closing: asyncio.Event
        self._task: Future[None]

    def open(self, is_stopping: Callable[[], bool]) -> object:
        self._task = self._event_loop.submit(self._hold())
        either: list[Future[Any]] = [self._value, self._task]
        while not wait(either, POLL_SECONDS, FIRST_COMPLETED).done:
            if is_stopping():
                self._task.cancel()
                raise Stopped
        if not self._value.done():
            self._task.result()  # raises
        return self._value.result()

    def close(self) -> None:
        self._event_loop.call_soon(self._closing.set)
        self._task.result()

    async def _hold(self) -> None:
        self._closing = asyncio.Event()
        async with self._context as value:
            self._value.set_result(value)
            await self._closing.wait()
