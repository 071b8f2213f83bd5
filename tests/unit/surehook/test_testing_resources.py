"""The test kit opens resources, replaces them by fakes, and shares the loop of an async test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from surehook import Event, RetryLater, around, on, resource
from surehook.testing import an_event, deliver, deliver_async, run_handler, run_handler_async
from surehook.workers.handlers import hooks, registry, resources

T = TypeVar("T")


class Engine:
    is_open = True


class Pool:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()


steps: list[str] = []


@pytest.fixture(autouse=True)
def _one_handler_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])
    monkeypatch.setattr(resources, "declared", [])
    monkeypatch.setattr(hooks, "declared_arounds", [])
    steps.clear()
    resource(engine)
    resource(pool)
    resource(unneeded)
    on("user.delete", name="plain")(plain)
    on("user.delete", name="later")(later)


def engine() -> Iterator[Engine]:
    steps.append("open engine")
    opened = Engine()
    yield opened
    steps.append("close engine")
    opened.is_open = False


async def pool(engine: Engine) -> AsyncIterator[Pool]:
    steps.append("open pool")
    async with asyncio.timeout(30):
        yield Pool()
    steps.append("close pool")


def unneeded() -> Iterator[dict[str, int]]:
    raise AssertionError("no handler takes it")
    yield {}


def plain(event: Event, engine: Engine) -> None:
    steps.append(f"plain {type(engine).__name__} {engine.is_open}")


async def later(event: Event, pool: Pool) -> None:
    steps.append(f"later {pool.loop is asyncio.get_running_loop()}")


def in_a_loop(test: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await test()

    return asyncio.run(main())


def test_resources_are_opened_for_a_call_and_closed_at_its_end() -> None:
    run_handler(plain, an_event("user.delete")).raise_if_failed()
    assert steps == ["open engine", "plain Engine True", "close engine"]

    run_handler(later, an_event("user.delete")).raise_if_failed()
    assert steps[3:] == ["open engine", "open pool", "later True", "close pool", "close engine"]


class Fake(Engine): ...


@pytest.mark.parametrize("key", [Engine, engine], ids=["its type", "its function"])
def test_a_resource_is_replaced_by_a_fake(key: Any) -> None:
    ran = deliver(an_event("user.delete"), plain, resources={key: Fake()})

    assert ran["plain"][0].raise_if_failed().outcome == "done"
    assert steps == ["plain Fake True"]


def test_a_fake_that_replaces_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no @resource yields a Fake"):
        run_handler(plain, an_event("user.delete"), resources={Fake: Fake()})


def test_an_async_test_shares_its_loop_with_handlers_and_resources() -> None:
    async def test() -> None:
        mine = Pool()
        (await run_handler_async(later, an_event("user.delete"))).raise_if_failed()
        (await run_handler_async(later, an_event("user.delete"), resources={Pool: mine})).raise_if_failed()
        ran = await deliver_async(an_event("user.delete"))
        assert {name: [each.outcome for each in runs] for name, runs in ran.items()} == {
            "plain": ["done"],
            "later": ["done"],
        }

    in_a_loop(test)

    assert steps.count("later True") == 3
    assert steps.count("open pool") == steps.count("close pool") == 2


def test_an_async_test_sees_timeouts_retries_and_arounds() -> None:
    @around
    async def noted(event: Event) -> AsyncIterator[None]:
        steps.append("around")
        yield

    async def wait(event: Event) -> None:
        await asyncio.sleep(30)

    async def postpone(event: Event) -> None:
        raise RetryLater(3600) if steps.count("around") < 4 else KeyError

    on("user.create", name="waits", timeout=0.05, retries=1, backoff=[7])(wait)
    on("user.update", name="postpones", retries=0)(postpone)

    async def test() -> list[list[tuple[str, float | None]]]:
        found = [await deliver_async(an_event(each)) for each in ("user.create", "user.update")]
        return [[(ran.outcome, ran.delay_seconds) for runs in each.values() for ran in runs] for each in found]

    waits, postpones = in_a_loop(test)
    assert waits == [("timed out", 7), ("timed out", None)]
    assert postpones == [("later", 3600), ("failed", None)]
    assert steps.count("around") == 4


def test_a_failure_is_raised_with_the_handlers_traceback() -> None:
    @on("user.create", name="breaks")
    def breaks(event: Event) -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here") as raised:
        run_handler(breaks, an_event("user.create")).raise_if_failed()

    assert raised.traceback[-1].name == "breaks"


@pytest.mark.parametrize(
    ("event_type", "fields", "says"),
    [
        ("user.delete", {"usr": {}}, "UserDelete has no field usr: did you mean user"),
        ("user.delete", {"user": {"frist_name": "Ada"}}, "User has no field user.frist_name: did you mean first_name"),
        ("user.delete", {"user": {"fristName": "Ada"}}, "did you mean firstName"),
        ("user.delete", {"user": {"registrations": [{"roels": []}]}}, r"user.registrations.roels: did you mean roles"),
        ("group.create", {"group": {"nane": "a"}}, "Group has no field group.nane: did you mean name"),
    ],
)
def test_a_misspelt_field_is_an_error_that_names_the_right_one(event_type: str, fields: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        an_event(event_type, **fields)
