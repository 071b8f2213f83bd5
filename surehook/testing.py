"""A test kit for handlers: builds any event, and runs handlers as a worker would, without a store.

Nothing waits: a retry runs immediately, and `delay_seconds` says when it would have run (without the ± 20 % jitter).
Resources are opened for each call and closed at its end, but for those that `resources` replaces: by their type, as in
`{Engine: a_fake}`, or by their function.
"""

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.models import Event
from surehook.testing_events import an_event
from surehook.testing_order import NOT_FAILED, Lines, unchanged
from surehook.testing_runs import MOST_RUNS, Run, open_run, open_run_here
from surehook.workers.execution.order_keys import find_place
from surehook.workers.execution.runner import RunResult, RunStatus
from surehook.workers.handlers import registry
from surehook.workers.handlers.errors import Reject, RetryLater
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.transactional.decider import REJECTED

__all__ = ["Ran", "an_event", "deliver", "deliver_async", "run_handler", "run_handler_async"]

Resources = Mapping[Any, object]


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of a handler, and what a worker would do next."""

    handler: str
    attempt: int
    outcome: str
    """`done`, `failed`, `timed out`, `later`, `permanent`, or `rejected` by a transactional handler.

    A handler that did not run: `unchanged`, `outdated`, or `deferred` behind a dead letter of its key.
    """
    error: BaseException | None
    delay_seconds: float | None
    """When it would run again; None if it would not."""
    is_answer: bool = False
    """True for a transactional handler: its outcome is the response to the sender, and it never runs again."""

    @property
    def is_dead_letter(self) -> bool:
        return self.outcome not in NOT_FAILED and self.delay_seconds is None and not self.is_answer

    def raise_if_failed(self) -> "Ran":
        """Raises the handler's exception unless it is done, so that the test shows its traceback. Returns itself."""
        if self.error is not None:
            raise self.error
        return self


def run_handler(
    function: Callable[..., object],
    event: Event,
    /,
    *,
    attempt: int = 1,
    is_ours: bool = True,
    resources: Resources | None = None,
) -> Ran:
    """Runs one handler once, with its timeout, as the given attempt.

    Raises:
        ValueError: the function is no handler, or does not match the event.
    """
    handler = _handler_for(function, event)
    if outcome := unchanged(handler, event):
        return Ran(handler.name, attempt, outcome, None, None)
    with open_run(handler, resources) as run:
        return _ran(handler, run.run(event, attempt, is_ours=is_ours), attempt, attempt - 1)


async def run_handler_async(
    function: Callable[..., object],
    event: Event,
    /,
    *,
    attempt: int = 1,
    is_ours: bool = True,
    resources: Resources | None = None,
) -> Ran:
    """Runs one handler once, as `run_handler`; `async` handlers and resources run in the loop of the calling test."""
    handler = _handler_for(function, event)
    if outcome := unchanged(handler, event):
        return Ran(handler.name, attempt, outcome, None, None)
    async with open_run_here(handler, resources) as run:
        return _ran(handler, await run.run_here(event, attempt, is_ours=is_ours), attempt, attempt - 1)


def deliver(
    event: Event | Sequence[Event],
    /,
    *handlers: Callable[..., object] | ModuleType,
    resources: Resources | None = None,
) -> dict[str, tuple[Ran, ...]]:
    """Runs every handler that matches the event until it is done or a dead letter. Returns the runs by handler id.

    Several events are delivered one after the other: `latest_only` and a dead letter that holds its line count for
    the later ones. `handlers` are functions, or modules for all in them; without any, all that have been imported. An
    event without handlers gives an empty dict.

    Raises:
        ValueError: a function is no handler, or a module has none.
    """
    runs: dict[str, tuple[Ran, ...]] = {}
    lines = Lines()
    for each, handler in _deliveries(event, handlers):
        with open_run(handler, resources) as run:
            steps = _steps(handler, each, lines, run)
            result: RunResult | None = None
            try:
                while True:
                    attempt = next(steps) if result is None else steps.send(result)
                    result = run.run(each, attempt, is_ours=True)
            except StopIteration as end:
                runs[handler.name] = (*runs.get(handler.name, ()), *end.value)
    return runs


async def deliver_async(
    event: Event | Sequence[Event],
    /,
    *handlers: Callable[..., object] | ModuleType,
    resources: Resources | None = None,
) -> dict[str, tuple[Ran, ...]]:
    """Runs every handler that matches the event, as `deliver`, in the loop of the calling test."""
    runs: dict[str, tuple[Ran, ...]] = {}
    lines = Lines()
    for each, handler in _deliveries(event, handlers):
        async with open_run_here(handler, resources) as run:
            steps = _steps(handler, each, lines, run)
            result: RunResult | None = None
            try:
                while True:
                    attempt = next(steps) if result is None else steps.send(result)
                    result = await run.run_here(each, attempt, is_ours=True)
            except StopIteration as end:
                runs[handler.name] = (*runs.get(handler.name, ()), *end.value)
    return runs


def _handler_for(function: Callable[..., object], event: Event) -> Handler:
    envelope = parse_envelope(event.raw)
    handlers = Registry(each for each in registry.declared if each.function is function)
    for handler in handlers:
        if _matches(handler, envelope):
            return handler
    name = _name_of(function)
    wanted = " or ".join(" ".join(handler.types) for handler in handlers)
    raise ValueError(f"{name} is for {wanted}, with its tenant and application" if wanted else f"{name} has no @on(…)")


def _deliveries(
    event: Event | Sequence[Event], sources: tuple[Callable[..., object] | ModuleType, ...]
) -> Iterator[tuple[Event, Handler]]:
    for source in sources:
        if not any(_is_from(handler, source) for handler in registry.declared):
            raise ValueError(f"{_name_of(source)} has no @on(…)")
    chosen = Registry(each for each in registry.declared if not sources or any(_is_from(each, it) for it in sources))
    for each in [event] if isinstance(event, Event) else event:
        envelope = parse_envelope(each.raw)
        yield from ((each, handler) for handler in chosen if _matches(handler, envelope))


def _steps(handler: Handler, event: Event, lines: Lines, run: Run) -> Generator[int, RunResult, list[Ran]]:
    """Yields the number of each attempt, and is sent its result. Returns the runs."""
    ran: list[Ran] = []
    spent = 0
    for attempt in range(1, MOST_RUNS + 1):
        place = find_place(handler.order, event, run, lambda: None) if handler.order else ""
        if outcome := unchanged(handler, event) or lines.reason_to_skip(handler, place):
            return [*ran, Ran(handler.name, attempt, outcome, None, None)]
        result = (yield attempt) if isinstance(place, str) else place
        ran.append(_ran(handler, result, attempt, spent))
        if ran[-1].delay_seconds is None:
            lines.record(handler, place, ran[-1])
            break
        spent += ran[-1].outcome != RunStatus.LATER.value
    return ran


def _ran(handler: Handler, run: RunResult, attempt: int, spent: int) -> Ran:
    if isinstance(run.error, KeyboardInterrupt):
        raise run.error  # the user stops the tests
    is_refusal = handler.is_transactional and isinstance(run.error, Reject)
    outcome = REJECTED if is_refusal else run.status.value
    return Ran(handler.name, attempt, outcome, run.error, _delay(handler, run, spent), handler.is_transactional)


def _delay(handler: Handler, run: RunResult, spent: int) -> float | None:
    if handler.is_transactional:
        return None
    if isinstance(run.error, RetryLater):
        return run.error.seconds
    if run.status in (RunStatus.DONE, RunStatus.PERMANENT):
        return None
    return handler.policy.delay_after(spent, jitter=lambda _, __: 1.0)


def _matches(handler: Handler, envelope: Envelope) -> bool:
    if not handler.matches_type(envelope.event_type):
        return False
    return handler.matches_origin(envelope.tenant_id, envelope.application_ids)


def _is_from(handler: Handler, source: Callable[..., object] | ModuleType) -> bool:
    if inspect.ismodule(source):
        return handler.function.__module__ == source.__name__
    return handler.function is source


def _name_of(source: Any) -> str:
    return str(getattr(source, "__name__", type(source).__name__))
