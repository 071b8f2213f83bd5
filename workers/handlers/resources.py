"""`@resource`: what a worker process opens before it takes work and closes when it stops, such as a connection pool."""

import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar

from surehook.shared.errors import Misconfigured
from surehook.workers.handlers.options import location_of
from surehook.workers.handlers.parameters import Extra, annotations_of, extras_of

ResourceFunction = TypeVar("ResourceFunction", bound=Callable[..., Iterator[Any] | AsyncIterator[Any]])

_GENERATORS = (Iterator, Generator, AsyncIterator, AsyncGenerator)


@dataclass(frozen=True, eq=False, slots=True)
class Resource:
    """A generator function that yields one value. It may take other resources."""

    function: Callable[..., Any]
    name: str
    location: str
    is_async: bool
    extras: tuple[Extra, ...] = ()

    def type(self) -> Any:
        """The type of its value, which it is injected by.

        Raises:
            Misconfigured: the function does not say.
        """
        returned = annotations_of(self.function, self.location).get("return")
        if typing.get_origin(returned) not in _GENERATORS:
            kind = "AsyncIterator" if self.is_async else "Iterator"
            raise Misconfigured(f"{self.location}: annotate what it yields, as in `-> {kind}[Pool]`")
        return typing.get_args(returned)[0]


declared: list[Resource] = []


def resource(function: ResourceFunction) -> ResourceFunction:
    """Runs a generator function up to its `yield` once in each worker process, before that takes work.

    The value is injected into handlers by the annotation of their parameters. The rest of the function runs when the
    process stops, after its handlers have ended. An `async` one lives in the event loop of `async` handlers.

    Raises:
        Misconfigured: it is no generator function.
    """
    location = location_of(function)
    is_async = inspect.isasyncgenfunction(function)
    if not is_async and not inspect.isgeneratorfunction(function):
        raise Misconfigured(f"{location}: @resource is for a function that opens something, yields it and closes it")
    parameters = list(inspect.signature(function).parameters.values())
    refusal = Misconfigured(f"{location}: annotate its parameters; each is another resource")
    declared.append(Resource(function, function.__name__, location, is_async, extras_of_resource(parameters, refusal)))
    return function


def extras_of_resource(parameters: list[inspect.Parameter], refusal: Misconfigured) -> tuple[Extra, ...]:
    extras = extras_of(parameters, refusal)
    if any(each.is_attempt for each in extras):
        raise refusal
    return extras


class Injection:
    """Finds the resource for each parameter of a user's function."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_type: list[tuple[Any, Resource]] = [(each.type(), each) for each in resources]

    def sources(self, function: Callable[..., Any], extras: Iterable[Extra], location: str) -> dict[str, Resource]:
        """The resources by parameter.

        Raises:
            Misconfigured: no resource has the type of a parameter that has no default, or several have it.
        """
        wanted = [each for each in extras if not each.is_attempt]
        types = annotations_of(function, location) if wanted else {}
        found: dict[str, Resource] = {}
        for each in wanted:
            matching = self._matching(_without_none(types.get(each.name)), each.name)
            if len(matching) == 1:
                found[each.name] = matching[0]
            elif each.is_needed or matching:
                raise Misconfigured(_sentence(location, each.name, types.get(each.name), matching))
        return found

    def _matching(self, wanted: Any, name: str) -> list[Resource]:
        same = [resource for kind, resource in self._by_type if kind == wanted]
        matching = same or [resource for kind, resource in self._by_type if _is_subclass(kind, wanted)]
        return [each for each in matching if each.name == name] or matching

    def in_order(self) -> list[Resource]:
        """Every resource behind those that it takes.

        Raises:
            Misconfigured: they need each other in a circle.
        """
        ordered: list[Resource] = []

        def add(resource: Resource, path: Sequence[Resource]) -> None:
            if resource in path:
                names = " -> ".join(each.name for each in (*path, resource))
                raise Misconfigured(f"{resource.location}: the resources need each other in a circle: {names}")
            for source in self.sources(resource.function, resource.extras, resource.location).values():
                add(source, (*path, resource))
            if resource not in ordered:
                ordered.append(resource)

        for _, each in self._by_type:
            add(each, ())
        return ordered


def _without_none(annotation: Any) -> Any:
    """`Pool` for `Pool | None`."""
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        rest = [each for each in typing.get_args(annotation) if each is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _is_subclass(kind: Any, wanted: Any) -> bool:
    with suppress(TypeError):  # a protocol that cannot be checked, or no class
        return wanted not in (object, Any) and issubclass(kind, wanted)
    return False


def _sentence(location: str, name: str, annotation: Any, matching: Sequence[Resource]) -> str:
    kind = getattr(annotation, "__name__", str(annotation))
    if matching:
        names = " and ".join(each.name for each in matching)
        return f"{location}: {names} all yield a {kind}: name the parameter {name} like the one that it is for"
    return f"{location}: no @resource yields a {kind} for its parameter {name}: declare one in a handler module"
