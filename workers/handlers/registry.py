"""`@on` and the registry: which handlers run for which events, and with which options."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import matches_pattern
from surehook.shared.keys import EVENTS_QUEUE, TRANSACTIONAL_QUEUE
from surehook.shared.limits import Limits, own_queue, served_with
from surehook.shared.transactional_events import require_transactional_type
from surehook.workers.handlers.options import (
    check_options,
    handler_name,
    limits_of,
    location_of,
    queue_name,
    require_known_type,
    require_possible_match,
    uuid_text,
)
from surehook.workers.handlers.ordering import KeyFunction, KeyName, OnDead, Order, changed_fields, order_of
from surehook.workers.handlers.parameters import Parameters, handler_parameters
from surehook.workers.handlers.retry import Backoff, RetryPolicy, exponential
from surehook.workers.handlers.source import source_fingerprint

HandlerFunction = TypeVar("HandlerFunction", bound=Callable[..., Any])

_UNDO_SUFFIX = "-abandoned"
MOST_TYPES = 1024


@dataclass(frozen=True, slots=True)
class Handler:
    """A user's function and its options. `name` is its id: letters, digits, `_` and `-`."""

    function: Callable[..., Any]
    name: str
    types: tuple[str, ...]
    policy: RetryPolicy
    timeout_seconds: float | None
    queue: str
    tenant_id: str | None
    application_id: str | None
    parameters: Parameters
    is_async: bool
    is_transactional: bool = False
    order: Order | None = None
    changed: tuple[str, ...] = ()
    limits: Limits | None = None
    """With limits, `queue` is the handler's own, which the workers of the queue that it was given serve."""
    code: str = ""
    """The fingerprint of its source."""
    undo: "Handler | None" = None
    """Its `on_abandoned`: matches no event, and runs when a transaction that succeeded here was abandoned."""

    def matches_origin(self, tenant_id: str, application_ids: str) -> bool:
        if self.tenant_id is not None and self.tenant_id != tenant_id:
            return False
        # Joined UUIDs: one is contained in the text only if it is one of them.
        return self.application_id is None or self.application_id in application_ids

    def matches_type(self, event_type: str) -> bool:
        return any(matches_pattern(pattern, event_type) for pattern in self.types)


class Registry:
    """The handlers of one process, in the order they were declared."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._by_name: dict[str, Handler] = {}
        for handler in (each for one in handlers for each in (one, one.undo) if each is not None):
            twin = self._by_name.get(handler.name)
            self._by_name[handler.name] = handler if twin is None else _merged(twin, handler)
        # A client can send any type.
        self._for_type = lru_cache(maxsize=MOST_TYPES)(self._find_for_type)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> Handler | None:
        return self._by_name.get(name)

    def for_event(
        self, event_type: str, tenant_id: str, application_ids: str, *, committed: bool = False
    ) -> list[Handler]:
        """The handlers that run for an event; if it is replayed as committed, the transactional ones too."""
        return [
            handler
            for handler in self._for_type(event_type)
            if (committed or not handler.is_transactional) and handler.matches_origin(tenant_id, application_ids)
        ]

    def transactional_for(self, event_type: str, tenant_id: str, application_ids: str) -> list[Handler]:
        """The handlers that decide a transaction, in the order they were registered."""
        handlers = self.for_event(event_type, tenant_id, application_ids, committed=True)
        return [handler for handler in handlers if handler.is_transactional]

    def _find_for_type(self, event_type: str) -> Sequence[Handler]:
        return [handler for handler in self if handler.matches_type(event_type)]

    @property
    def ordered_types(self) -> frozenset[str]:
        """The types and patterns of handlers with an order."""
        return frozenset(event_type for handler in self if handler.order is not None for event_type in handler.types)

    @property
    def queues(self) -> list[str]:
        """Every queue that has workers: those of handlers, and those in which events arrive."""
        arrivals = {TRANSACTIONAL_QUEUE for handler in self if handler.is_transactional}
        return sorted({EVENTS_QUEUE, *arrivals, *(served_with(handler.queue) for handler in self)})

    def limited(self, queue: str) -> dict[str, Limits]:
        """The limits of every handler's own queue that the workers of `queue` serve."""
        return {
            handler.queue: handler.limits
            for handler in self
            if handler.limits is not None and served_with(handler.queue) == queue
        }


def _merged(handler: Handler, twin: Handler) -> Handler:
    """Merges two `@on` on one function into a handler for the types of both.

    Raises:
        Misconfigured: one id with two functions, or with two sets of options.
    """
    if twin.function is not handler.function:
        raise Misconfigured(
            f"two handlers are called {handler.name}: {location_of(handler.function)} and "
            f"{location_of(twin.function)}. "
            "Give one of them another id: @on(…, name=…)"
        )
    if replace(twin, types=handler.types) != handler:
        raise Misconfigured(
            f"{location_of(handler.function)}: its two @on(…) differ in more than their types; "
            "give each a name of its own"
        )
    return replace(handler, types=tuple(dict.fromkeys(handler.types + twin.types)))


# A decorator cannot return its handlers to the loader, so they are collected here.
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
    concurrency: int | None = None,
    rate: str | None = None,
    breaker: bool | None = None,
    transactional: bool = False,
    on_abandoned: Callable[..., Any] | None = None,
    ordered_by: KeyName | KeyFunction | None = None,
    on_dead: OnDead = "hold",
    latest_only: bool = False,
    changed: Sequence[str] = (),
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Runs the function for events of these types (`"user.create"`, `"user.*"`, `"*"`).

    Args:
        name: the handler's id, by default its module and function.
        retries: runs after the first one that failed.
        backoff: seconds before each retry: a sequence (its last is repeated) or a function of the retry's number.
        timeout: seconds a run may take; by default SUREHOOK_HANDLER_TIMEOUT.
        queue: the queue of its jobs; each queue has workers of its own.
        tenant: only events with this id.
        application: only events that name this application (`applicationId`, `applicationIds`, the keys of
            `applicationTimeToLiveInSeconds`), or, where they name none, whose user is registered for it.
        concurrency: at most this many runs at a time, over all machines.
        rate: at most this many starts, as in "100/m" (s, m, h, d), evenly spaced, retries included.
        breaker: stop trying while nearly every run fails, without spending retries, and probe until one succeeds. By
            default True with `concurrency` or `rate`, which give the handler a queue of its own, as this does.
        transactional: FusionAuth waits for the outcome. It runs once, at most until the deadline.
        on_abandoned: called with the event of a transactional handler that succeeded after FusionAuth was told that the
            transaction failed. It must tolerate an effect that never happened.
        ordered_by: runs one event of a key at a time, in the order of acceptance, through retries: `"user"`,
            `"tenant"`, `"linked_object"`, or a function of the event. An event without the key runs in no order.
        on_dead: what a dead letter does to the later events of its key: `"hold"` them until it is replayed or
            discarded, or `"skip"` it.
        latest_only: skips an event whose object is older (`last_update_instant`) than one that was applied.
        changed: runs only if one of these fields of the event's object differs from `original`.

    Raises:
        Misconfigured: an option is wrong; the message says what to change.
    """

    def register(function: HandlerFunction) -> HandlerFunction:
        location = location_of(function)
        for event_type in types:
            require_known_type(event_type, location)
            require_possible_match(event_type, tenant, application, location)
        check_options(types, retries, backoff, timeout, location)
        limits = limits_of(concurrency, rate, breaker, location, transactional=transactional)
        its_name, its_queue = handler_name(name, location), queue_name(queue, location)
        handler = Handler(
            function=function,
            name=its_name,
            types=types,
            policy=RetryPolicy(retries, backoff),
            timeout_seconds=timeout,
            queue=own_queue(its_queue, its_name) if limits else its_queue,
            limits=limits,
            tenant_id=uuid_text(tenant, "tenant", location),
            application_id=uuid_text(application, "application", location),
            parameters=handler_parameters(function, location),
            is_async=inspect.iscoroutinefunction(function),
            order=order_of(ordered_by, on_dead, latest_only, types, location),
            changed=changed_fields(changed, types, location),
            code=source_fingerprint(function),
        )
        if transactional and (handler.order is not None or handler.changed):
            raise Misconfigured(
                f"{location}: ordered_by and changed are for handlers without transactional=True, which FusionAuth "
                "waits for"
            )
        declared.append(_transactional(handler, on_abandoned, location) if transactional else handler)
        if on_abandoned is not None and not transactional:
            raise Misconfigured(f"{location}: on_abandoned is for handlers with transactional=True")
        return function

    return register


def _transactional(handler: Handler, on_abandoned: Callable[..., Any] | None, location: str) -> Handler:
    for event_type in handler.types:
        if "*" not in event_type:
            require_transactional_type(event_type, f"{location}: transactional=True")
    if on_abandoned is None:
        return replace(handler, is_transactional=True)
    undo = replace(
        handler,
        function=on_abandoned,
        name=handler_name(f"{handler.name}{_UNDO_SUFFIX}", location),
        types=(),
        parameters=handler_parameters(on_abandoned, location),
        is_async=inspect.iscoroutinefunction(on_abandoned),
    )
    return replace(handler, is_transactional=True, undo=undo)
