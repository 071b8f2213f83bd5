"""A test kit for handlers: builds any event, and runs handlers as a worker would, without a store.

Nothing waits: a retry runs immediately, and `delay_seconds` says when it would have run (without the ± 20 % jitter).
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.models import Event
from surehook.testing_events import an_event
from surehook.workers.execution.order_keys import find_place
from surehook.workers.execution.runner import Runner, RunResult, RunStatus
from surehook.workers.execution.timeouts import Timeout, Watchdog
from surehook.workers.handlers import registry
from surehook.workers.handlers.errors import Reject, RetryLater
from surehook.workers.handlers.ordering import DEFERRED, HOLD, OUTDATED, UNCHANGED, has_changed
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.transactional.executor import REJECTED

__all__ = ["Ran", "an_event", "deliver", "run_handler"]

TIMEOUT_SECONDS = 30.0  # the default of SUREHOOK_HANDLER_TIMEOUT
NOT_FAILED = frozenset({RunStatus.DONE.value, UNCHANGED, OUTDATED, DEFERRED})
MOST_RUNS = 100  # RetryLater spends no retry, so a handler could postpone itself forever


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


def run_handler(function: Callable[..., object], event: Event, /, *, attempt: int = 1, is_ours: bool = True) -> Ran:
    """Runs one handler once, with its timeout, as the given attempt.

    Raises:
        ValueError: the function is no handler, or does not match the event.
    """
    envelope = parse_envelope(event.raw)
    handlers = Registry(each for each in registry.declared if each.function is function)
    for handler in handlers:
        if _matches(handler, envelope):
            if outcome := _reason_to_skip(handler, event):
                return Ran(handler.name, attempt, outcome, None, None)
            with _open_context(handler) as context:
                return _ran(handler, context.run(event, attempt, is_ours=is_ours), attempt, attempt - 1)
    name = _name_of(function)
    wanted = " or ".join(" ".join(handler.types) for handler in handlers)
    raise ValueError(f"{name} is for {wanted}, with its tenant and application" if wanted else f"{name} has no @on(…)")


def deliver(
    event: Event | Sequence[Event], /, *handlers: Callable[..., object] | ModuleType
) -> dict[str, tuple[Ran, ...]]:
    """Runs every handler that matches the event until it is done or a dead letter. Returns the runs by handler id.

    Several events are delivered one after the other: `latest_only` and a dead letter that holds its line count for
    the later ones. `handlers` are functions, or modules for all in them; without any, all that have been imported. An
    event without handlers gives an empty dict.

    Raises:
        ValueError: a function is no handler, or a module has none.
    """
    for source in handlers:
        if not any(_is_from(handler, source) for handler in registry.declared):
            raise ValueError(f"{_name_of(source)} has no @on(…)")
    chosen = Registry(each for each in registry.declared if not handlers or any(_is_from(each, it) for it in handlers))
    runs: dict[str, tuple[Ran, ...]] = {}
    lines = _Lines()
    for each in [event] if isinstance(event, Event) else event:
        envelope = parse_envelope(each.raw)
        for handler in chosen:
            if _matches(handler, envelope):
                runs[handler.name] = (*runs.get(handler.name, ()), *_runs(handler, each, lines))
    return runs


def _runs(handler: Handler, event: Event, lines: "_Lines") -> Iterator[Ran]:
    spent = 0
    with _open_context(handler) as context:
        for attempt in range(1, MOST_RUNS + 1):
            place = find_place(handler.order, event, context, lambda: None) if handler.order else ""
            if outcome := _reason_to_skip(handler, event) or lines.reason_to_skip(handler, place):
                yield Ran(handler.name, attempt, outcome, None, None)
                return
            run = context.run(event, attempt, is_ours=True) if isinstance(place, str) else place
            ran = _ran(handler, run, attempt, spent)
            yield ran
            if ran.delay_seconds is None:
                lines.record(handler, place, ran)
                return
            spent += ran.outcome != RunStatus.LATER.value


def _reason_to_skip(handler: Handler, event: Event) -> str:
    return UNCHANGED if handler.changed and not has_changed(event, handler.changed) else ""


class _Lines:
    """Remembers which events were applied, and which keys a dead letter holds."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()
        self._applied: dict[tuple[str, str], int] = {}

    def reason_to_skip(self, handler: Handler, place: str | RunResult) -> str:
        key, subject, changed_at = self._parts(place)
        if (handler.name, key) in self._held:
            return DEFERRED
        return OUTDATED if changed_at < self._applied.get((handler.name, subject), 0) else ""

    def record(self, handler: Handler, place: str | RunResult, last: Ran) -> None:
        key, subject, changed_at = self._parts(place)
        if key and last.is_dead_letter and handler.order is not None and handler.order.on_dead == HOLD:
            self._held.add((handler.name, key))
        if subject and last.outcome == RunStatus.DONE.value:
            self._applied[handler.name, subject] = changed_at

    def _parts(self, place: str | RunResult) -> tuple[str, str, int]:
        """The key, the subject of `latest_only` and the instant of its change."""
        _, key, subject, changed_at = (*(place if isinstance(place, str) else "").split(":"), "", "", "", "")[:4]
        return key, subject, int(changed_at or 0)


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


class _RunContext:
    """The run context of a handler under test, which also runs it."""

    def __init__(self, handler: Handler, runner: Runner) -> None:
        self.timeout = Timeout()
        self._handler = handler
        self._runner = runner
        self._is_ours = True

    def run(self, event: Event, attempt: int, *, is_ours: bool) -> RunResult:
        self._is_ours = is_ours
        return self._runner.run(self._handler, event, attempt, self)

    def start_run(self, deadline: float) -> None:
        """Does nothing: a test has no supervisor to inform."""

    def is_ours(self) -> bool:
        return self._is_ours


@contextlib.contextmanager
def _open_context(handler: Handler) -> Iterator[_RunContext]:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("call this from the main thread, where Ctrl-C can stop the handler")
    if handler.is_async and _is_in_a_loop():
        raise RuntimeError("an async handler gets its own event loop: call this from a plain test, not an async one")
    runner = Runner(TIMEOUT_SECONDS)
    context = _RunContext(handler, runner)
    watchdog = Watchdog([context.timeout], lambda _: None, lambda: None)
    watchdog.start()
    try:
        yield context
    finally:
        watchdog.stop()
        watchdog.join()
        runner.close()


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _matches(handler: Handler, envelope: Envelope) -> bool:
    return handler.matches(envelope.event_type, envelope.tenant_id, envelope.application_ids)


def _is_from(handler: Handler, source: Callable[..., object] | ModuleType) -> bool:
    if inspect.ismodule(source):
        return handler.function.__module__ == source.__name__
    return handler.function is source


def _name_of(source: Any) -> str:
    return str(getattr(source, "__name__", type(source).__name__))
