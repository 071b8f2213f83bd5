import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from harness.events import a_body, an_event
from surehook.shared.models import Event, event_from
from surehook.workers.claim import Claim
from surehook.workers.execution.runner import Runner
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.errors import Permanent, Reject
from surehook.workers.handlers.registry import Registry, on
from surehook.workers.queue.completion import completion_of
from surehook.workers.transactional.refusal import masked
from tests.support.run_context import TestContext

EVENT = an_event("user.create")
BODY = a_body(EVENT)


class Held:
    """Stands for what a handler's variables hold: the event and what was read for it."""


def fail() -> None:
    raise ValueError("no")


def fail_from_another() -> None:
    try:
        fail()
    except ValueError as exc:
        raise Permanent("no") from exc


def fail_while_handling() -> None:
    try:
        fail()
    except ValueError:
        raise RuntimeError("no") from None


def fail_in_a_group() -> None:
    try:
        fail()
    except ValueError as exc:
        raise ExceptionGroup("all", [exc, ValueError("another")]) from None


def refuse() -> None:
    raise Reject("no")


class Strange(Exception):
    """Its methods must not be called."""

    def __setattr__(self, *_: object) -> None:
        raise SystemExit

    def with_traceback(self, _: object) -> "Strange":
        raise SystemExit


def fail_strangely() -> None:
    raise Strange


@pytest.fixture
def no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "declared", [])


@pytest.fixture
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collections", "no_handlers")
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_transactional", [False, True])
@pytest.mark.parametrize("end", [fail, fail_from_another, fail_while_handling, fail_in_a_group, refuse, fail_strangely])
def test_a_run_that_failed_keeps_nothing_in_memory(
    end: Callable[[], None], is_transactional: bool, is_async: bool
) -> None:
    references: list[weakref.ref[Held]] = []

    def handler(event: Event) -> None:
        held = Held()
        references.append(weakref.ref(held))
        end()

    async def async_handler(event: Event) -> None:
        handler(event)

    on("user.create", name="handler")(async_handler if is_async else handler)
    run_once(is_transactional)

    assert [reference() for reference in references] == [None]


@pytest.mark.usefixtures("without_collections", "no_handlers")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_that_succeeded_keeps_nothing_in_memory(is_async: bool) -> None:
    references: list[weakref.ref[Held]] = []

    def handler(_: Event) -> None:
        held = Held()
        references.append(weakref.ref(held))

    async def async_handler(event: Event) -> None:
        held = Held()
        references.append(weakref.ref(held))
        await asyncio.sleep(0)
        handler(event)

    on("user.create", name="handler")(async_handler if is_async else handler)
    event = weakref.ref(run_once())

    assert event() is None
    assert not any(reference() for reference in references)


@pytest.mark.usefixtures("without_collections", "no_handlers")
def test_a_run_that_was_cut_off_keeps_nothing_in_memory() -> None:
    references: list[weakref.ref[Held]] = []

    @on("user.create", name="handler", timeout=0.05)
    async def handler(_: Event) -> None:
        held = Held()
        references.append(weakref.ref(held))
        await asyncio.sleep(30)

    event = weakref.ref(run_once())

    assert event() is None
    assert [reference() for reference in references] == [None]


def run_once(is_transactional: bool | None = None) -> Event:
    """`is_transactional`: how a failure is recorded."""
    handler = Registry(registry_module.declared).named("handler")
    assert handler is not None
    runner, event = Runner(30), event_from(EVENT["id"], BODY)
    result = runner.run(handler, event, 1, TestContext())
    runner.close()
    if result.error is None:
        return event
    if is_transactional:
        masked(result.error, BODY, lambda: None)
    else:
        claim = Claim("events", EVENT["id"], "t-1", 1, 0, 0, "", "user.create", "", "", BODY)
        completion_of(handler, claim, result, lambda: None)
    return event
