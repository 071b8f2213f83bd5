"""Context variables that a handler sets are gone when its run ends."""

import asyncio
import decimal
import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from harness.events import an_event as a_transactional_event
from surehook import Event, on
from surehook.testing import an_event, run_handler
from tests.integration.conftest import Accept, Counts, RunWorker

person: ContextVar[str] = ContextVar("person", default="unset")
EXACT = 50


def note(event: Event) -> None:
    """Sets a variable, as Sentry's user, Django's language or structlog's id do, and the decimal context."""
    seen.append((person.get(), decimal.getcontext().prec == EXACT))
    person.set(str(event.id))
    decimal.getcontext().prec = EXACT


async def note_async(event: Event) -> None:
    note(event)
    await asyncio.sleep(0)
    assert person.get() == str(event.id)
    assert await asyncio.to_thread(person.get) == str(event.id)


@functools.wraps(note_async)
def note_then_wait(event: Event) -> Any:
    """A decorator's wrapper: it sets a variable, which the coroutine it returns must see."""
    note(event)
    return wait_for(str(event.id))


async def wait_for(expected: str) -> None:
    await asyncio.sleep(0)
    assert person.get() == expected


seen: list[tuple[str, bool]] = []
HANDLERS = (note, note_async, note_then_wait)
NAMES = ("plain", "async", "decorated")


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@pytest.mark.parametrize("first", HANDLERS, ids=NAMES)
@pytest.mark.parametrize("second", HANDLERS, ids=NAMES)
def test_a_run_does_not_see_what_another_has_set(
    first: Callable[..., Any], second: Callable[..., Any], accept: Accept, run_worker: RunWorker, counts: Counts
) -> None:
    on("user.delete", name="first")(first)
    on("user.create", name="second")(second)

    for event_type in ("user.delete", "user.create", "user.delete"):
        accept(event_type)
    run_worker(turns=3)

    assert counts.runs == [("first", "done"), ("second", "done"), ("first", "done")]
    assert seen == [("unset", False)] * 3


@pytest.mark.parametrize("handler", HANDLERS, ids=NAMES)
def test_transactional_handlers_and_their_undo_do_not_see_each_others_variables(handler: Any, decide: Any) -> None:
    on("user.create", name="one", transactional=True, on_abandoned=handler)(handler)
    on("user.create", name="two", transactional=True)(handler)

    for _ in range(2):
        assert decide(a_transactional_event("user.create")).status_code == 200

    assert seen == [("unset", False)] * 4


def test_the_kit_runs_a_handler_without_the_variables_of_the_test() -> None:
    on("user.delete")(note)
    person.set("the test's")

    assert run_handler(note, an_event("user.delete")).outcome == "done"
    assert run_handler(note, an_event("user.delete")).outcome == "done"

    assert seen == [("unset", False)] * 2
    assert person.get() == "the test's"
