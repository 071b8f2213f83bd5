"""A test kit for handlers: builds any event, and runs handlers as a worker would, without a store.

Nothing waits: a retry runs immediately, and `delay_seconds` says when it would have run (without the ± 20 % jitter).
"""

import asyncio
import contextlib
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any, TypeVar, overload
from uuid import UUID, uuid4

from surehook.fusionauth.samples import sample
from surehook.shared.envelope import Envelope, parse_envelope
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models import MODELS, Event, event_from
from surehook.shared.models.fields import camel
from surehook.shared.models.model import Model
from surehook.workers.execution.runner import Runner, RunResult, RunStatus
from surehook.workers.execution.timeouts import Timeout, Watchdog
from surehook.workers.handlers import registry
from surehook.workers.handlers.errors import Reject, RetryLater
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.transactional.executor import REJECTED

__all__ = ["Ran", "an_event", "deliver", "run_handler"]

E = TypeVar("E", bound=Event)

TIMEOUT_SECONDS = 30.0  # the default of SUREHOOK_HANDLER_TIMEOUT
MOST_RUNS = 100  # RetryLater spends no retry, so a handler could postpone itself forever
# The keys inside these fields are the user's own and stay as they are.
_FREE_FORM = frozenset({"data", "tokens", "newValue", "oldValue"})


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of a handler, and what a worker would do next."""

    handler: str
    attempt: int
    outcome: str
    """`done`, `failed`, `timed out`, `later`, `permanent`, or `rejected` by a transactional handler."""
    error: BaseException | None
    delay_seconds: float | None
    """When it would run again; None if it would not."""
    is_answer: bool = False
    """True for a transactional handler: its outcome is the response to the sender, and it never runs again."""

    @property
    def is_dead_letter(self) -> bool:
        return self.outcome != RunStatus.DONE.value and self.delay_seconds is None and not self.is_answer


@overload
def an_event(of: type[E], /, **fields: Any) -> E: ...
@overload
def an_event(of: str, /, **fields: Any) -> Event: ...
def an_event(of: type[Event] | str, /, **fields: Any) -> Event:
    """Builds an event as FusionAuth sends it, with its own id and the given changes.

    `an_event(UserDelete, user={"id": some_id, "email": None})`: given values replace those of the sample, a dict
    field by field; None leaves a field out. Names may be FusionAuth's or in snake_case.

    Raises:
        ValueError: the fields do not fit the given class. Given the type's name instead, the function returns the
            plain `Event` that a handler would get.
    """
    event_type = of if isinstance(of, str) else _type_of(of)
    changes = _plain(fields)
    event_id = changes.setdefault("id", str(uuid4()))
    base = _sample(event_type)
    body = json.dumps({"event": _merged(base, changes)}).encode()
    event = event_from(event_id, body)
    if isinstance(of, type) and not isinstance(event, of):
        where = ", ".join(event.misfits)
        raise ValueError(f"{where} has no valid value for a {of.__name__}")  # noqa: TRY004 - not the type, the value is wrong
    return event


def run_handler(function: Callable[..., object], event: Event, /, *, attempt: int = 1, is_ours: bool = True) -> Ran:
    """Runs one handler once, with its timeout, as the given attempt.

    Raises:
        ValueError: the function is no handler, or does not match the event.
    """
    envelope = parse_envelope(event.raw)
    handlers = Registry(each for each in registry.declared if each.function is function)
    for handler in handlers:
        if _matches(handler, envelope):
            with _open_context(handler) as context:
                return _ran(handler, context.run(event, attempt, is_ours=is_ours), attempt, attempt - 1)
    name = _name_of(function)
    wanted = " or ".join(" ".join(handler.types) for handler in handlers)
    raise ValueError(f"{name} is for {wanted}, with its tenant and application" if wanted else f"{name} has no @on(…)")


def deliver(event: Event, /, *handlers: Callable[..., object] | ModuleType) -> dict[str, tuple[Ran, ...]]:
    """Runs every handler that matches the event until it is done or a dead letter. Returns the runs by handler id.

    `handlers` are functions, or modules for all in them; without any, all that have been imported. An event
    without handlers gives an empty dict.

    Raises:
        ValueError: a function is no handler, or a module has none.
    """
    envelope = parse_envelope(event.raw)
    for source in handlers:
        if not any(_is_from(handler, source) for handler in registry.declared):
            raise ValueError(f"{_name_of(source)} has no @on(…)")
    chosen = Registry(each for each in registry.declared if not handlers or any(_is_from(each, it) for it in handlers))
    return {handler.name: tuple(_runs(handler, event)) for handler in chosen if _matches(handler, envelope)}


def _runs(handler: Handler, event: Event) -> Iterator[Ran]:
    spent = 0
    with _open_context(handler) as context:
        for attempt in range(1, MOST_RUNS + 1):
            ran = _ran(handler, context.run(event, attempt, is_ours=True), attempt, spent)
            yield ran
            if ran.delay_seconds is None:
                return
            spent += ran.outcome != RunStatus.LATER.value


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


def _type_of(model: type[Event]) -> str:
    for event_type, known in MODELS.items():
        if known is model:
            return event_type
    raise ValueError(f"{model.__name__} has no single type: name the type, as in an_event('user.delete')")


def _sample(event_type: str) -> dict[str, Any]:
    if event_type in EVENT_TYPES:
        event: dict[str, Any] = sample(event_type, now=datetime.now(UTC), event_id=uuid4())["event"]
        return event
    return {"type": event_type, "createInstant": int(time.time() * 1000)}


class _Replacement(dict[str, Any]):
    """An object of another event; it replaces the sample's as a whole."""


def _plain(value: Any, *, renames: bool = True) -> Any:
    """Converts a value to JSON with FusionAuth's names."""
    if isinstance(value, Model):
        return _Replacement(_plain({name: value[name] for name in (*value.keys(),)}, renames=False))
    if isinstance(value, Mapping):
        names = {name: camel(name) if renames and isinstance(name, str) else str(name) for name in value}
        return {
            names[name]: _plain(inner, renames=renames and names[name] not in _FREE_FORM)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, renames=renames) for item in value]
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    return str(value) if isinstance(value, UUID | date) else value


def _merged(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict) or isinstance(change, _Replacement):
        return change
    merged = base | {name: _merged(base.get(name), value) for name, value in change.items()}
    return {name: value for name, value in merged.items() if value is not None}
