"""`@on`: which function wants which events, and on what terms."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from shared.catalogue import CATALOGUE, closest
from shared.errors import Misconfigured
from shared.keys import EVENTS_QUEUE
from workers.retry import Backoff, RetryPolicy, exponential

HandlerFunction = TypeVar("HandlerFunction", bound=Callable[..., Any])

EVENT_PARAMETER, ATTEMPT_PARAMETER = "event", "attempt"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Handler:
    """A user's function and its terms. `name` is its id: letters, digits, `_` and `-`."""

    function: Callable[..., Any]
    name: str
    types: tuple[str, ...]
    policy: RetryPolicy
    timeout_seconds: float | None
    queue: str
    tenant_id: str | None
    application_id: str | None
    takes_attempt: bool
    is_async: bool

    def wants(self, event_type: str, tenant_id: str, application_id: str) -> bool:
        if self.tenant_id is not None and self.tenant_id != tenant_id:
            return False
        if self.application_id is not None and self.application_id != application_id:
            return False
        return any(_matches(pattern, event_type) for pattern in self.types)


class Registry:
    """The handlers of one process, in the order they were declared."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._by_name: dict[str, Handler] = {}
        for handler in handlers:
            twin = self._by_name.setdefault(handler.name, handler)
            if twin.function is not handler.function:
                raise Misconfigured(
                    f"two handlers are called {handler.name}: {_place(twin.function)} and {_place(handler.function)}. "
                    "Give one of them another id: @on(…, name=…)"
                )

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> Handler | None:
        return self._by_name.get(name)

    def wanting(self, event_type: str, tenant_id: str, application_id: str) -> list[Handler]:
        return [handler for handler in self if handler.wants(event_type, tenant_id, application_id)]

    @property
    def queues(self) -> list[str]:
        """Every queue a handler uses, and the one where events arrive."""
        return sorted({EVENTS_QUEUE, *(handler.queue for handler in self)})


# A decorator has nobody to hand its function to; the loader takes what was declared from here.
declared: list[Handler] = []


def on(
    *types: str,
    name: str | None = None,
    retries: int = 8,
    backoff: Backoff = exponential,
    timeout: float | None = None,
    queue: str = EVENTS_QUEUE,
    tenant: str | None = None,
    application: str | None = None,
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Run the function for events of these types (`"user.create"`, `"user.*"`, `"*"`).

    Args:
        name: the handler's id, by default its module and function.
        retries: runs after the first one that failed.
        backoff: seconds before each retry: a sequence (its last is repeated) or a function of the retry's number.
        timeout: seconds a run may take; by default SUREHOOK_HANDLER_TIMEOUT.
        queue: where it waits; each queue has workers of its own.
        tenant, application: only events with this id.

    Raises:
        Misconfigured: something of it cannot be; says what to change.
    """

    def register(function: HandlerFunction) -> HandlerFunction:
        place = _place(function)
        for event_type in types:
            _refuse_unknown_type(event_type, place)
        _refuse_bad_terms(types, retries, backoff, timeout, place)
        declared.append(
            Handler(
                function=function,
                name=_name(name, function, place),
                types=types,
                policy=RetryPolicy(retries, backoff),
                timeout_seconds=timeout,
                queue=_queue(queue, place),
                tenant_id=_uuid(tenant, "tenant", place),
                application_id=_uuid(application, "application", place),
                takes_attempt=_takes_attempt(function, place),
                is_async=inspect.iscoroutinefunction(function),
            )
        )
        return function

    return register


def _matches(pattern: str, event_type: str) -> bool:
    if "*" not in pattern:
        return pattern == event_type
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), event_type) is not None


def _refuse_unknown_type(event_type: Any, place: str) -> None:
    if not isinstance(event_type, str):
        raise Misconfigured(f'{place}: @on takes event types, as in @on("user.delete")')
    # A pattern may be for types that FusionAuth has added since.
    if event_type in CATALOGUE or "*" in event_type:
        return
    near = closest(event_type)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `surehook trigger --list`."
    raise Misconfigured(
        f"{place}: @on does not know the type {event_type!r}: {hint} A type newer than Surehook needs a pattern: "
        f"{event_type + '*'!r}"
    )


def _refuse_bad_terms(types: tuple[str, ...], retries: Any, backoff: Any, timeout: float | None, place: str) -> None:
    if not types:
        raise Misconfigured(f'{place}: @on needs at least one event type, as in @on("user.delete")')
    if not isinstance(retries, int) or retries < 0:
        raise Misconfigured(f"{place}: retries must be a whole number, 0 or more, not {retries!r}")
    if timeout is not None and timeout <= 0:
        raise Misconfigured(f"{place}: timeout must be more than 0 seconds, not {timeout!r}")
    if not callable(backoff) and (len(backoff) == 0 or any(delay < 0 for delay in backoff)):
        raise Misconfigured(f"{place}: backoff must hold at least one delay, and none below 0 seconds")


def _takes_attempt(function: Callable[..., Any], place: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    extra = [
        parameter for parameter in needed if parameter not in positional and parameter.kind is parameter.KEYWORD_ONLY
    ]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    if not positional or len(required) > len((EVENT_PARAMETER, ATTEMPT_PARAMETER)) or extra:
        raise Misconfigured(f"{place}: a handler takes (event) or (event, attempt), not {inspect.signature(function)}")
    return len(required) > 1 or ATTEMPT_PARAMETER in [parameter.name for parameter in positional[1:2]]


def _name(name: str | None, function: Callable[..., Any], place: str) -> str:
    chosen = name or re.sub(r"[^A-Za-z0-9_-]", "_", f"{function.__module__}_{function.__qualname__}")
    if not _NAME.fullmatch(chosen):
        raise Misconfigured(f"{place}: name must be 1 to 100 letters, digits, '_' or '-', not {chosen!r}")
    return chosen


def _queue(queue: str, place: str) -> str:
    if not _NAME.fullmatch(queue):
        raise Misconfigured(f"{place}: queue must be 1 to 100 letters, digits, '_' or '-', not {queue!r}")
    return queue


def _uuid(value: str | None, what: str, place: str) -> str | None:
    if value is None:
        return None
    try:
        return str(UUID(value))
    except ValueError:
        raise Misconfigured(f"{place}: {what} must be a UUID, not {value!r}") from None


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
