"""Functions of `@around` surround each run, in the order of their registration."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from surehook import Attempt, Event, around, resource
from surehook.testing import an_event, run_handler
from surehook.workers.handlers import hooks, registry, resources
from surehook.workers.handlers.registry import on

steps: list[str] = []
tenant: ContextVar[str] = ContextVar("tenant", default="")


class Tracer: ...


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])
    monkeypatch.setattr(resources, "declared", [])
    monkeypatch.setattr(hooks, "declared_arounds", [])
    steps.clear()


def step(name: str) -> None:
    steps.append(name)


def handler(body: Callable[[Event], Any], *, is_async: bool, **options: Any) -> Callable[..., Any]:
    async def later(event: Event) -> None:
        await asyncio.sleep(0)
        body(event)

    def plain(event: Event) -> None:
        body(event)

    return on("user.delete", name="it", **options)(later if is_async else plain)


def outer(event: Event, attempt: Attempt) -> Iterator[None]:
    step(f"outer {event.type} {attempt.handler} {attempt.number}")
    tenant.set("acme")
    try:
        yield
    except OSError as exc:
        step(f"outer saw {exc}")
        raise
    finally:
        step("outer end")


async def inner(event: Event, tracer: Tracer) -> AsyncIterator[None]:
    step(f"inner {type(tracer).__name__}")
    yield
    step("inner end")


def tracer() -> Iterator[Tracer]:
    yield Tracer()


@pytest.mark.parametrize("is_async", [False, True])
def test_they_surround_a_run_the_first_outermost_and_see_its_error(*, is_async: bool) -> None:
    around(outer)
    around(inner)
    resource(tracer)

    def work(_: Event) -> None:
        step(f"work for {tenant.get()}")
        if len(steps) > 4:
            raise OSError("gone")

    it = handler(work, is_async=is_async)
    first = run_handler(it, an_event("user.delete"))
    done = steps[:]
    failed = run_handler(it, an_event("user.delete"), attempt=2)

    begin, end = (["inner Tracer"], ["inner end"]) if is_async else ([], [])
    assert done == ["outer user.delete it 1", *begin, "work for acme", *end, "outer end"]
    assert steps[len(done) :] == ["outer user.delete it 2", *begin, "work for acme", "outer saw gone", "outer end"]
    assert (first.outcome, failed.outcome) == ("done", "failed")
    assert tenant.get() == "", "context variables belong to the run"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_run_does_not_become_done_by_an_around_that_swallows_its_error(*, is_async: bool) -> None:
    @around
    def swallow(event: Event) -> Iterator[None]:
        with contextlib.suppress(Exception):
            yield

    def work(_: Event) -> None:
        raise KeyError("lost")

    ran = run_handler(handler(work, is_async=is_async), an_event("user.delete"))

    assert (ran.outcome, type(ran.error)) == ("failed", KeyError)


@pytest.mark.parametrize("place", ["before", "after", "never"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_around_that_fails_fails_the_run(place: str, *, is_async: bool) -> None:
    @around
    def broken(event: Event) -> Iterator[None]:
        if place == "before":
            raise ConnectionError
        if place == "never":
            return
        yield
        raise ConnectionError

    ran = run_handler(handler(lambda _: step("ran"), is_async=is_async), an_event("user.delete"))

    assert ran.outcome == "failed"
    assert steps == (["ran"] if place == "after" else [])


@pytest.mark.parametrize("yields", [0, 2])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("around_is_async", [False, True])
def test_an_around_that_does_not_yield_once_is_named(yields: int, *, fails: bool, around_is_async: bool) -> None:
    def plain(event: Event) -> Iterator[None]:
        for _ in range(yields):
            with contextlib.suppress(KeyError):
                yield

    async def later(event: Event) -> AsyncIterator[None]:
        for _ in range(yields):
            with contextlib.suppress(KeyError):
                yield

    def work(_: Event) -> None:
        if fails:
            raise KeyError

    if around_is_async:
        around(later)
    else:
        around(plain)

    ran = run_handler(handler(work, is_async=around_is_async), an_event("user.delete"))

    name = "later" if around_is_async else "plain"
    assert f"{name}: an @around function yields exactly once" in str(ran.error)


def test_an_arounds_own_error_keeps_its_cause() -> None:
    @around
    def translates(event: Event) -> Iterator[None]:
        try:
            yield
        except KeyError as exc:
            raise RuntimeError("no such tenant") from exc

    def work(_: Event) -> None:
        raise KeyError("tenant")

    ran = run_handler(handler(work, is_async=False), an_event("user.delete"))

    assert str(ran.error) == "no such tenant"
    assert ran.error is not None
    assert isinstance(ran.error.__cause__, KeyError)


@pytest.mark.parametrize("is_async", [False, True])
def test_it_counts_toward_the_timeout_and_ends_at_it(*, is_async: bool) -> None:
    around(outer)

    async def wait(event: Event) -> None:
        await asyncio.sleep(30)

    def spin(event: Event) -> None:
        while True:
            pass

    it = on("user.delete", name="it", timeout=0.2)(wait if is_async else spin)
    ran = run_handler(it, an_event("user.delete"))

    assert ran.outcome == "timed out"
    assert steps[-1] == "outer end"
