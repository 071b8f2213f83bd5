"""An `async` handler, however it is written, has run when it counts as done."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from surehook import Event, on
from surehook.shared.errors import Misconfigured
from surehook.testing import an_event, run_handler
from tests.integration.conftest import Accept, Counts, RunWorker

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


async def it(event: Event, attempt: Any = None) -> None:
    await asyncio.sleep(0)
    ran.append(str(event.id))


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that knows nothing of coroutines."""

    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


class Mailer:
    async def __call__(self, event: Event) -> None:
        await it(event)

    async def send(self, event: Event) -> None:
        await it(event)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(logged(it), id="behind a plain decorator"),
        pytest.param(lambda event: it(event, None), id="behind a lambda"),
        pytest.param(functools.partial(it, attempt=7), id="partial"),
        pytest.param(Mailer(), id="an object that is called"),
        pytest.param(Mailer().send, id="a method"),
    ],
)
def test_a_coroutine_returned_by_a_plain_handler_is_awaited(
    handler: Any, accept: Accept, run_worker: RunWorker, counts: Counts
) -> None:
    on("user.delete", name="it")(handler)

    event_id = accept()
    run_worker()

    assert counts.runs == [("it", "done")]
    assert ran == [event_id]
    assert run_handler(handler, an_event("user.delete")).outcome == "done"
    assert len(ran) == 2


def test_a_decorated_async_handler_keeps_its_timeout_and_failure(
    accept: Accept, run_worker: RunWorker, counts: Counts
) -> None:
    @on("user.delete", name="slow", timeout=0.2)
    @logged
    async def slow(event: Event) -> None:
        await asyncio.sleep(30)

    @on("user.create", name="fails")
    @logged
    async def fails(event: Event) -> None:
        raise OSError

    accept("user.delete")
    accept("user.create")
    run_worker(turns=2)

    assert counts.runs == [("slow", "timed out"), ("fails", "failed")]


def a_generator(event: Event) -> Any:
    yield event


async def an_async_generator(event: Event) -> Any:
    yield event


@pytest.mark.parametrize("handler", [a_generator, an_async_generator])
def test_a_generator_function_is_rejected_as_a_handler(handler: Any) -> None:
    with pytest.raises(Misconfigured, match="yield"):
        on("user.delete")(handler)


@pytest.mark.parametrize(
    ("handler", "name"),
    [(functools.partial(it), f"{__name__}_it"), (Mailer(), f"{__name__}_Mailer")],
)
def test_a_callable_without_a_name_is_named_after_its_class(handler: Any, name: str) -> None:
    from surehook.workers.handlers import registry

    on("user.delete")(handler)

    assert registry.declared[-1].name == name.replace(".", "_")
