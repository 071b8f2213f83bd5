"""`@around` and `@on_dead_letter`: a user's code around each run, and for each dead letter."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from surehook.shared.errors import Misconfigured
from surehook.shared.models import Event
from surehook.workers.handlers.options import location_of
from surehook.workers.handlers.parameters import Parameters, parameters_of

AroundFunction = TypeVar("AroundFunction", bound=Callable[..., Iterator[None] | AsyncIterator[None]])
LetterFunction = TypeVar("LetterFunction", bound=Callable[..., object])


@dataclass(frozen=True, eq=False, slots=True)
class Around:
    """A generator function that yields once: its code before and after the `yield` surrounds a run."""

    function: Callable[..., Any]
    location: str
    is_async: bool
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that will not run again by itself for one handler, and why. Texts are masked."""

    event: Event
    handler: str
    queue: str
    attempts: int
    error: str
    traceback: str = field(repr=False)
    died_at: datetime


@dataclass(frozen=True, eq=False, slots=True)
class LetterHook:
    """A function that is told of dead letters."""

    function: Callable[..., Any]
    location: str
    is_async: bool
    parameters: Parameters


declared_arounds: list[Around] = []
declared_letter_hooks: list[LetterHook] = []


def around(function: AroundFunction) -> AroundFunction:
    """Surrounds each run of a handler: the function runs up to its `yield` before it, and on from there after it.

    It takes (event) or (event, attempt), and resources by annotation. The error of a failed run is raised at the
    `yield`; it stays the run's error, even if the function does not pass it on. The first registered is the outermost.
    A plain function surrounds every run, an `async` one those of `async` handlers. All of it counts toward the timeout.

    Raises:
        Misconfigured: it is no generator function.
    """
    location = location_of(function)
    is_async = inspect.isasyncgenfunction(function)
    if not is_async and not inspect.isgeneratorfunction(function):
        raise Misconfigured(f"{location}: @around is for a function that yields once, where the handler is to run")
    takes = "@around is for a function of (event) or (event, attempt)"
    declared_arounds.append(Around(function, location, is_async, parameters_of(function, location, takes)))
    return function


def on_dead_letter(function: LetterFunction) -> LetterFunction:
    """Tells the function of each dead letter, once, or again after a failure. It takes a `DeadLetter`, and resources.

    It runs in a worker process, after the event has become a dead letter.
    """
    location = location_of(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Misconfigured(f"{location}: @on_dead_letter is for a function without `yield`")
    takes = "@on_dead_letter is for a function of (letter)"
    parameters = parameters_of(function, location, takes)
    if parameters.accepts_attempt:
        raise Misconfigured(f"{location}: {takes}, and resources by annotation")
    is_async = inspect.iscoroutinefunction(function)
    declared_letter_hooks.append(LetterHook(function, location, is_async, parameters))
    return function
