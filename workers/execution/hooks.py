"""Calls a user's functions with what they ask for: the attempt, resources, and the `@around` functions outside."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from surehook.workers.execution.resources import Resources
from surehook.workers.handlers.attempt import Attempt
from surehook.workers.handlers.hooks import Around
from surehook.workers.handlers.options import location_of
from surehook.workers.handlers.parameters import Extra, Parameters

# The words of contextlib for a generator that yields never, or again, in its plain and `async` form.
NOT_ONCE = {"generator didn't yield", "generator didn't stop", "generator didn't stop after throw()"} | {
    "generator didn't stop after athrow()"
}


class Hooks:
    """The resources and the `@around` functions of one process."""

    def __init__(self, resources: Resources, arounds: Sequence[Around] = ()) -> None:
        self.arounds = tuple(arounds)
        self._plain_arounds = tuple(each for each in arounds if not each.is_async)
        self._resources = resources
        self._values: dict[Callable[..., Any], dict[str, object]] = {}

    def surrounded(self, function: Callable[[], Any], event: object, attempt: Attempt) -> Callable[[], Any]:
        """A plain function with the plain `@around` functions outside."""

        def run() -> Any:
            raised: BaseException | None = None
            with ExitStack() as stack:
                for each in self._plain_arounds:
                    stack.enter_context(_Plain(each, self._bound(each, event, attempt)))
                try:
                    return function()
                except BaseException as exc:
                    raised = exc
                    raise
            # Only when one of them has swallowed it: a failed run must not count as done.
            raise raised

        return run

    def surrounded_async(
        self, function: Callable[[], Awaitable[object]], event: object, attempt: Attempt
    ) -> Callable[[], Awaitable[object]]:
        """An `async` function with all `@around` functions outside."""

        async def run() -> object:
            raised: BaseException | None = None
            async with AsyncExitStack() as stack:
                for each in self.arounds:
                    bound = self._bound(each, event, attempt)
                    if each.is_async:
                        await stack.enter_async_context(_Async(each, bound))
                    else:
                        stack.enter_context(_Plain(each, bound))
                try:
                    return await function()
                except BaseException as exc:
                    raised = exc
                    raise
            raise raised

        return run

    def _bound(self, each: Around, event: object, attempt: Attempt) -> Callable[[], Any]:
        return self.bound(each.function, each.parameters, event, attempt)

    def bound(
        self, function: Callable[..., Any], parameters: Parameters, first: object, attempt: Attempt | None
    ) -> "partial[Any]":
        """A function with its arguments."""
        if not parameters.extras:
            return partial(function, first, attempt) if parameters.accepts_attempt else partial(function, first)
        positional, keywords = self._arguments(function, parameters.extras, first, attempt)
        return partial(function, *positional, **keywords)

    def _arguments(
        self, function: Callable[..., Any], extras: Sequence[Extra], first: object, attempt: Attempt | None
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments, by position where they can be: a decorator may take no others."""
        values = self._values.get(function)
        if values is None:
            values = self._values[function] = self._resources.values_for(function, extras, location_of(function))
        positional, keywords = [first], dict[str, object]()
        for extra in extras:
            if not extra.is_attempt and extra.name not in values:
                continue  # it has a default
            value = attempt if extra.is_attempt else values[extra.name]
            if extra.is_keyword or len(positional) - 1 < extras.index(extra):
                keywords[extra.name] = value
            else:
                positional.append(value)
        return tuple(positional), keywords


class _Plain:
    """A plain `@around` function of one run. It is named if it does not yield once: no frame of it would show."""

    def __init__(self, around: Around, bound: Callable[[], Any]) -> None:
        self._location = around.location
        self._context = contextmanager(bound)()

    def __enter__(self) -> None:
        try:
            self._context.__enter__()
        except RuntimeError as exc:
            _require_one_yield(exc, self._location)
            raise

    def __exit__(self, *raised: object) -> bool | None:
        try:
            return self._context.__exit__(*raised)  # type: ignore[arg-type]
        except RuntimeError as exc:
            _require_one_yield(exc, self._location)
            raise


class _Async:
    """The same for an `async` function."""

    def __init__(self, around: Around, bound: Callable[[], Any]) -> None:
        self._location = around.location
        self._context = asynccontextmanager(bound)()

    async def __aenter__(self) -> None:
        try:
            await self._context.__aenter__()
        except RuntimeError as exc:
            _require_one_yield(exc, self._location)
            raise

    async def __aexit__(self, *raised: object) -> bool | None:
        try:
            return await self._context.__aexit__(*raised)  # type: ignore[arg-type]
        except RuntimeError as exc:
            _require_one_yield(exc, self._location)
            raise


def _require_one_yield(exc: RuntimeError, location: str) -> None:
    """
    Raises:
        RuntimeError: contextlib says that the function has not yielded once.
    """
    if str(exc) in NOT_ONCE:
        raise RuntimeError(f"{location}: an @around function yields exactly once, also after an error") from None
