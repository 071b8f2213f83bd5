"""Resources are opened once before work is taken, and closed in the reverse order."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from harness.stack import wait_until
from surehook import resource
from surehook.workers.execution import resources as execution
from surehook.workers.execution.event_loop import EventLoop
from surehook.workers.execution.resources import Resources, Stopped
from surehook.workers.handlers import resources


class Engine: ...


class Pool: ...


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "declared", [])
    monkeypatch.setattr(execution, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close()


def test_each_is_opened_behind_those_it_takes_and_closed_before_them(event_loop: EventLoop, steps: list[str]) -> None:
    loops: list[object] = []

    @resource
    async def pool(engine: Engine) -> AsyncIterator[Pool]:
        loops.append(asyncio.get_running_loop())
        steps.append(f"pool on {type(engine).__name__}")
        async with asyncio.timeout(30):  # wants both ends in one task
            yield Pool()
        loops.append(asyncio.get_running_loop())
        steps.append("pool closed")

    @resource
    def engine() -> Iterator[Engine]:
        steps.append("engine")
        yield Engine()
        steps.append("engine closed")

    opened = Resources(resources.declared, event_loop)
    opened.open(never)
    assert steps == ["engine", "pool on Engine"]
    opened.close()

    assert steps[2:] == ["pool closed", "engine closed"]
    assert len(set(loops)) == 1
    opened.close()
    assert len(steps) == 4


@pytest.mark.parametrize("is_async", [False, True])
def test_a_start_that_fails_is_reported_and_tried_again(
    event_loop: EventLoop, steps: list[str], caplog: pytest.LogCaptureFixture, *, is_async: bool
) -> None:
    def connect() -> Engine:
        steps.append("try")
        if len(steps) < 3:
            raise ConnectionError("no database at db:5432")
        return Engine()

    if is_async:

        @resource
        async def slow_engine() -> AsyncIterator[Engine]:
            yield connect()
    else:

        @resource
        def engine() -> Iterator[Engine]:
            yield connect()

    with caplog.at_level(logging.ERROR):
        opened = Resources(resources.declared, event_loop)
        opened.open(never)
    opened.close()

    assert steps == ["try"] * 3
    first, second = (record.__dict__ for record in caplog.records)
    assert first["message"] == "resource start failed, no work is taken"
    assert first["resource"] == resources.declared[0].name
    assert first["reason"] == "ConnectionError: no database at db:5432"
    assert {"delay_seconds"} <= first.keys() & second.keys()


@pytest.mark.parametrize("error", [SystemExit(3), KeyError(7)])
def test_a_stop_ends_the_attempts_and_closes_what_is_open(
    event_loop: EventLoop, steps: list[str], error: BaseException
) -> None:
    @resource
    def engine() -> Iterator[Engine]:
        yield Engine()
        steps.append("engine closed")

    @resource
    def pool(engine: Engine) -> Iterator[Pool]:
        steps.append("try")
        raise error
        yield Pool()

    with pytest.raises(Stopped):
        Resources(resources.declared, event_loop).open(lambda: steps.count("try") >= 2)

    assert steps == ["try", "try", "engine closed"]


def test_a_stop_does_not_wait_for_an_async_start_that_hangs(event_loop: EventLoop) -> None:
    cancelled = threading.Event()

    @resource
    async def pool() -> AsyncIterator[Pool]:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        yield Pool()

    answers = iter([False, False])
    with pytest.raises(Stopped):
        Resources(resources.declared, event_loop).open(lambda: next(answers, True))

    wait_until(cancelled.is_set, "the start was cancelled")


def test_a_failure_to_close_keeps_no_other_from_being_closed(
    event_loop: EventLoop, steps: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    @resource
    def engine() -> Iterator[Engine]:
        yield Engine()
        steps.append("engine closed")

    @resource
    async def pool(engine: Engine) -> AsyncIterator[Pool]:
        yield Pool()
        raise OSError("not closed")

    @resource
    def endless(pool: Pool) -> Iterator[int]:
        yield 1
        yield 2

    opened = Resources(resources.declared, event_loop)
    opened.open(never)
    opened.close()

    assert steps == ["engine closed"]
    assert [record.__dict__["resource"] for record in caplog.records] == ["endless", "pool"]


def test_an_address_in_a_failure_is_logged_without_its_credentials(
    event_loop: EventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    @resource
    def engine() -> Iterator[Engine]:
        yield Engine()
        raise OSError("no answer from postgres://app:p@ss@db.example.com:5432/app, postgres://app:s3cr3t@db/app")

    opened = Resources(resources.declared, event_loop)
    opened.open(never)
    opened.close()

    assert "s3cr3t" not in str(caplog.records[0].__dict__)
    assert "p@ss" not in str(caplog.records[0].__dict__)
    assert "db.example.com" in caplog.records[0].__dict__["reason"]
