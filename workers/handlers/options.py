"""Checks the arguments of `@on`, with a sentence for each that is wrong."""

import functools
import math
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES, closest, matches_pattern
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.limits import MOST_CONCURRENT, Limits, interval_ms

LONGEST_TIMEOUT_SECONDS = 86_400
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def location_of(function: Callable[..., Any]) -> str:
    """A function's module and name; for a partial or an object, those of its function or class."""
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def require_known_type(event_type: Any, location: str) -> None:
    if not isinstance(event_type, str):
        raise Misconfigured(f'{location}: @on takes event types, as in @on("user.delete")')
    # A pattern may be for types that FusionAuth has added since this release.
    if event_type in EVENT_TYPES or "*" in event_type:
        return
    near = closest(event_type)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `surehook trigger --list`."
    raise Misconfigured(
        f"{location}: @on does not know the type {event_type!r}: {hint} A type newer than Surehook needs a pattern: "
        f"{event_type + '*'!r}"
    )


def require_possible_match(event_type: str, tenant: str | None, application: str | None, location: str) -> None:
    """Checks that events of a type, or of any known type of a pattern, can have what the handler filters by."""
    known = [each for name, each in EVENT_TYPES.items() if matches_pattern(event_type, name)]
    if not known:  # a pattern for types newer than this release
        return
    if tenant is not None and not any(each.can_name_tenant for each in known):
        raise Misconfigured(
            f"{location}: {event_type} is about the whole FusionAuth installation and has no tenant, so tenant=… never "
            "matches: give it a handler without tenant"
        )
    if application is not None and not any(each.can_name_application for each in known):
        raise Misconfigured(
            f"{location}: an event of {event_type} names no application, so application=… never matches: give it a "
            "handler without application, which looks at the event itself"
        )


def check_options(types: tuple[str, ...], retries: Any, backoff: Any, timeout: float | None, location: str) -> None:
    if not types:
        raise Misconfigured(f'{location}: @on needs at least one event type, as in @on("user.delete")')
    if not isinstance(retries, int) or retries < 0:
        raise Misconfigured(f"{location}: retries must be a whole number, 0 or more, not {retries!r}")
    if timeout is not None and not 0 < timeout <= LONGEST_TIMEOUT_SECONDS:
        raise Misconfigured(f"{location}: timeout must be more than 0 seconds and at most a day, not {timeout!r}")
    if not callable(backoff) and (len(backoff) == 0 or not all(0 <= delay < math.inf for delay in backoff)):
        raise Misconfigured(f"{location}: backoff must hold at least one delay, each 0 seconds or more and finite")


def handler_name(name: str | None, location: str) -> str:
    chosen = name or re.sub(r"[^A-Za-z0-9_-]", "_", location)
    if not _NAME.fullmatch(chosen):
        raise Misconfigured(f"{location}: name must be 1 to 100 letters, digits, '_' or '-', not {chosen!r}")
    return chosen


def queue_name(queue: str, location: str) -> str:
    if not _NAME.fullmatch(queue):
        raise Misconfigured(f"{location}: queue must be 1 to 100 letters, digits, '_' or '-', not {queue!r}")
    if queue == TRANSACTIONAL_QUEUE:
        raise Misconfigured(f"{location}: queue={queue!r} is reserved for transactions; write transactional=True")
    return queue


def limits_of(concurrency: Any, rate: Any, breaker: Any, location: str, *, transactional: bool) -> Limits | None:
    """The limits that `@on` gives a handler; None for one without, which shares its queue with others."""
    if breaker not in (None, True, False):
        raise Misconfigured(f"{location}: breaker must be True or False, not {breaker!r}")
    if concurrency is None and rate is None and not breaker:
        return None
    if transactional:
        raise Misconfigured(
            f"{location}: concurrency, rate and breaker are not for transactional=True, because FusionAuth waits for "
            "the outcome: give them to another handler of the same type, which runs after the transaction"
        )
    is_number = isinstance(concurrency, int) and not isinstance(concurrency, bool)
    if concurrency is not None and not (is_number and 1 <= concurrency <= MOST_CONCURRENT):
        raise Misconfigured(
            f"{location}: concurrency must be a whole number from 1 to {MOST_CONCURRENT}, not {concurrency!r}"
        )
    if rate is not None:
        try:
            interval_ms(rate if isinstance(rate, str) else repr(rate))
        except ValueError as exc:
            raise Misconfigured(f"{location}: {exc}") from None
    return Limits(concurrency, rate, has_breaker=breaker is not False)


def uuid_text(value: str | None, what: str, location: str) -> str | None:
    if value is None:
        return None
    try:
        return str(UUID(value))
    except ValueError:
        raise Misconfigured(f"{location}: {what} must be a UUID, not {value!r}") from None
