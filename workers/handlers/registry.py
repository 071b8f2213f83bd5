"""`@on`: which function wants which events, and on what terms."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from surehook.shared.errors import Misconfigured
from surehook.shared.keys import EVENTS_QUEUE, TRANSACTIONAL_QUEUE
from surehook.shared.transactional_events import refuse_powerless
from surehook.workers.handlers.options import (
    handler_name,
    place_of,
    queue_name,
    refuse_bad_terms,
    refuse_unknown_type,
    takes_attempt,
    uuid_text,
)
from surehook.workers.handlers.retry import Backoff, RetryPolicy, exponential

HandlerFunction = TypeVar("HandlerFunction", bound=Callable[..., Any])

_UNDO_SUFFIX = "-abandoned"


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
    is_transactional: bool = False
    undo: "Handler | None" = None
    """Its `on_abandoned`: wants no event by itself, and is run for one whose success came to nothing."""

    def wants(self, event_type: str, tenant_id: str, application_id: str) -> bool:
        if self.tenant_id is not None and self.tenant_id != tenant_id:
            return False
        if self.application_id is not None and self.application_id != application_id:
            return False
        return self.takes(event_type)

    def takes(self, event_type: str) -> bool:
        return any(_matches(pattern, event_type) for pattern in self.types)


class Registry:
    """The handlers of one process, in the order they were declared."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._by_name: dict[str, Handler] = {}
        for handler in (each for one in handlers for each in (one, one.undo) if each is not None):
            twin = self._by_name.get(handler.name)
            self._by_name[handler.name] = handler if twin is None else _as_one(twin, handler)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> Handler | None:
        return self._by_name.get(name)

    def wanting(self, event_type: str, tenant_id: str, application_id: str, *, as_fact: bool = False) -> list[Handler]:
        """Those that are told of an event; of one that a person replays as a fact, the transactional ones too."""
        return [
            handler
            for handler in self
            if handler.wants(event_type, tenant_id, application_id) and (as_fact or not handler.is_transactional)
        ]

    def voting(self, event_type: str, tenant_id: str, application_id: str) -> list[Handler]:
        """Those whose outcome is the answer, in the order they were registered."""
        wanting = self.wanting(event_type, tenant_id, application_id, as_fact=True)
        return [handler for handler in wanting if handler.is_transactional]

    @property
    def queues(self) -> list[str]:
        """Every queue a handler uses, and those where events arrive."""
        arrivals = {TRANSACTIONAL_QUEUE for handler in self if handler.is_transactional}
        return sorted({EVENTS_QUEUE, *arrivals, *(handler.queue for handler in self)})


def _as_one(handler: Handler, twin: Handler) -> Handler:
    """Of one id: two `@on` on one function, which wants the types of both.

    Raises:
        Misconfigured: two functions, or two terms, of one id.
    """
    if twin.function is not handler.function:
        raise Misconfigured(
            f"two handlers are called {handler.name}: {place_of(handler.function)} and {place_of(twin.function)}. "
            "Give one of them another id: @on(…, name=…)"
        )
    if replace(twin, types=handler.types) != handler:
        raise Misconfigured(
            f"{place_of(handler.function)}: its two @on(…) differ in more than their types; give each a name of its own"
        )
    return replace(handler, types=tuple(dict.fromkeys(handler.types + twin.types)))


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
    transactional: bool = False,
    on_abandoned: Callable[..., Any] | None = None,
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Run the function for events of these types (`"user.create"`, `"user.*"`, `"*"`).

    Args:
        name: the handler's id, by default its module and function.
        retries: runs after the first one that failed.
        backoff: seconds before each retry: a sequence (its last is repeated) or a function of the retry's number.
        timeout: seconds a run may take; by default SUREHOOK_HANDLER_TIMEOUT.
        queue: where it waits; each queue has workers of its own.
        tenant, application: only events with this id.
        transactional: the sender waits, and the outcome is its answer. It runs once, at most until the deadline.
        on_abandoned: called, as handlers are, with the event of a transactional handler whose success came to nothing:
            the sender had been told no. It must tolerate an effect that never happened.

    Raises:
        Misconfigured: something of it cannot be; says what to change.
    """

    def register(function: HandlerFunction) -> HandlerFunction:
        place = place_of(function)
        for event_type in types:
            refuse_unknown_type(event_type, place)
        refuse_bad_terms(types, retries, backoff, timeout, place)
        handler = Handler(
            function=function,
            name=handler_name(name, place),
            types=types,
            policy=RetryPolicy(retries, backoff),
            timeout_seconds=timeout,
            queue=queue_name(queue, place),
            tenant_id=uuid_text(tenant, "tenant", place),
            application_id=uuid_text(application, "application", place),
            takes_attempt=takes_attempt(function, place),
            is_async=inspect.iscoroutinefunction(function),
        )
        declared.append(_voter(handler, on_abandoned, place) if transactional else handler)
        if on_abandoned is not None and not transactional:
            raise Misconfigured(f"{place}: on_abandoned is for handlers with transactional=True")
        return function

    return register


def _voter(handler: Handler, on_abandoned: Callable[..., Any] | None, place: str) -> Handler:
    for event_type in handler.types:
        if "*" not in event_type:
            refuse_powerless(event_type, f"{place}: transactional=True")
    if on_abandoned is None:
        return replace(handler, is_transactional=True)
    undo = replace(
        handler,
        function=on_abandoned,
        name=handler_name(f"{handler.name}{_UNDO_SUFFIX}", place),
        types=(),
        takes_attempt=takes_attempt(on_abandoned, place),
        is_async=inspect.iscoroutinefunction(on_abandoned),
    )
    return replace(handler, is_transactional=True, undo=undo)


def _matches(pattern: str, event_type: str) -> bool:
    if "*" not in pattern:
        return pattern == event_type
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), event_type) is not None
