"""The parameters of a user's function: the event, perhaps the attempt, and resources."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from surehook.shared.errors import Misconfigured
from surehook.workers.handlers.attempt import Attempt

ATTEMPT = "attempt"


class Extra(NamedTuple):
    """A parameter behind the first: the attempt, or one that a resource is injected into, by its annotation."""

    name: str
    is_attempt: bool
    is_keyword: bool
    is_needed: bool


class Parameters(NamedTuple):
    """The parameters behind the first. `extras` is empty where none can be a resource, as in most handlers."""

    accepts_attempt: bool
    extras: tuple[Extra, ...] = ()


def handler_parameters(function: Callable[..., Any], location: str) -> Parameters:
    """
    Raises:
        Misconfigured: it is no function of an event.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Misconfigured(f"{location}: a handler must not be a generator (it contains `yield`)")
    return parameters_of(function, location, "a handler takes (event) or (event, attempt)")


def parameters_of(function: Callable[..., Any], location: str, takes: str) -> Parameters:
    """
    Raises:
        Misconfigured: it does not take the first argument, or needs one that nothing is injected into.
    """
    refusal = Misconfigured(f"{location}: {takes}, and resources by annotation, not {inspect.signature(function)}")
    given = [each for each in inspect.signature(function).parameters.values() if each.name not in _bound(function)]
    if not given or given[0].kind not in (given[0].POSITIONAL_ONLY, given[0].POSITIONAL_OR_KEYWORD):
        raise refusal
    extras = extras_of(
        [each for each in given[1:] if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)], refusal
    )
    accepts_attempt = any(each.is_attempt for each in extras)
    is_plain = all(each.is_attempt and not each.is_keyword for each in extras)
    return Parameters(accepts_attempt, () if is_plain else extras)


def _bound(function: Callable[..., Any]) -> Collection[str]:
    """The parameters that a partial already has a value for."""
    return function.keywords if isinstance(function, functools.partial) else ()


def extras_of(parameters: list[inspect.Parameter], refusal: Misconfigured) -> tuple[Extra, ...]:
    found: list[Extra] = []
    is_behind_default = False
    for number, each in enumerate(parameters):
        is_keyword, is_needed = each.kind is each.KEYWORD_ONLY, each.default is each.empty
        is_attempt = _is_attempt(each) or (number == 0 and is_needed and not is_keyword and not _is_annotated(each))
        if is_attempt or _is_annotated(each):
            found.append(Extra(each.name, is_attempt, is_keyword or is_behind_default, is_needed))
        elif is_needed:
            raise refusal
        else:
            is_behind_default = True
    return tuple(found)


def _is_attempt(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    return parameter.name == ATTEMPT or annotation is Attempt or str(annotation).rpartition(".")[2] == Attempt.__name__


def _is_annotated(parameter: inspect.Parameter) -> bool:
    return parameter.annotation is not parameter.empty and parameter.annotation is not Any


def annotations_of(function: Callable[..., Any], location: str) -> dict[str, Any]:
    """
    Raises:
        Misconfigured: an annotation names what is not there at run time.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__annotations__"):
        function = type(function).__call__
    try:
        return inspect.get_annotations(inspect.unwrap(function), eval_str=True)
    except (NameError, AttributeError, SyntaxError) as exc:
        raise Misconfigured(
            f"{location}: its annotations cannot be read ({exc}): import what they name outside of `if TYPE_CHECKING`"
        ) from exc
