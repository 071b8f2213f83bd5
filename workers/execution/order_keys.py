"""Finds a job's place in a line: calls the handler's key function with a timeout, as it is the user's code."""

import time
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime

from surehook.shared.errors import MalformedBody
from surehook.shared.models import Event
from surehook.workers.execution.runner import RunContext, RunResult, RunStatus
from surehook.workers.handlers.errors import HandlerTimeout
from surehook.workers.handlers.ordering import Order

# Jobs of all keys wait while an event's place is being found.
KEY_SECONDS = 5.0


def find_place(order: Order, event: Event, context: RunContext, finish_run: Callable[[], None]) -> str | RunResult:
    """The place, "" for an event without the key; if the key function failed, its result, like that of a run."""
    started_at, started = datetime.now(UTC), time.monotonic()
    if not callable(order.by):
        try:
            return order.place_of(event)
        except MalformedBody as exc:  # the record was changed by hand
            return RunResult(RunStatus.PERMANENT, started_at, 0.0, exc)
    deadline = started + KEY_SECONDS
    found: list[str] = []
    context.start_run(deadline)
    variables = Context()
    error = context.timeout.call(lambda: found.append(variables.run(order.place_of, event)), deadline)
    finish_run()
    elapsed = time.monotonic() - started
    if error is None and elapsed < KEY_SECONDS:
        return found[0]
    if elapsed >= KEY_SECONDS:
        timeout = error if isinstance(error, HandlerTimeout) else HandlerTimeout()
        timeout.args = (f"the function of ordered_by ran longer than {KEY_SECONDS:g} s",)
        return RunResult(RunStatus.TIMED_OUT, started_at, elapsed, timeout)
    return RunResult(RunStatus.FAILED, started_at, elapsed, error)
