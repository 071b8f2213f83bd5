"""Resources and hooks are checked when the modules have been imported, with a sentence for each mistake."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NewType, Protocol

import pytest

from surehook import Attempt, DeadLetter, Event, around, on, on_dead_letter, resource
from surehook.events import UserDelete
from surehook.shared.errors import Misconfigured
from surehook.workers.handlers import hooks, registry, resources
from surehook.workers.handlers.loader import check_injection
from surehook.workers.handlers.registry import Registry

if TYPE_CHECKING:
    from decimal import Decimal


class Engine: ...


class FastEngine(Engine): ...


class Clock(Protocol):
    def now(self) -> float: ...


Url = NewType("Url", str)


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])
    monkeypatch.setattr(resources, "declared", [])
    monkeypatch.setattr(hooks, "declared_arounds", [])
    monkeypatch.setattr(hooks, "declared_letter_hooks", [])


def injected(number: int = -1) -> dict[str, str]:
    """The resources that the last handler gets, by parameter."""
    check_injection(Registry(registry.declared))
    handler = registry.declared[number]
    sources = resources.Injection(resources.declared).sources(handler.function, handler.parameters.extras, "here")
    return {name: each.name for name, each in sources.items()}


def test_a_resource_is_found_by_the_annotation() -> None:
    @resource
    def engine() -> Iterator[Engine]:
        yield Engine()

    @resource
    async def url() -> AsyncIterator[Url]:
        yield Url("https://example.com")

    @resource
    def numbers() -> Generator[list[int], None, None]:
        yield [1]

    @on("user.delete", name="it")
    async def it(
        event: UserDelete, attempt: Attempt, db: Engine, *, numbers: list[int], limit: int = 3, at: "Url | None" = None
    ) -> None: ...

    assert injected() == {"db": "engine", "numbers": "numbers", "at": "url"}
    assert registry.declared[0].parameters.accepts_attempt


def test_a_resource_of_a_subclass_serves_and_of_two_the_one_of_the_same_name() -> None:
    @resource
    def replica() -> Iterator[FastEngine]:
        yield FastEngine()

    @on("user.delete", name="one")
    def one(event: Event, engine: Engine) -> None: ...

    assert injected() == {"engine": "replica"}

    @resource
    def primary() -> Iterator[FastEngine]:
        yield FastEngine()

    @on("user.delete", name="two")
    def two(event: Event, primary: FastEngine, replica: Engine) -> None: ...

    registry.declared.pop(0)
    assert injected() == {"primary": "primary", "replica": "replica"}


def no_type() -> Iterator:  # type: ignore[type-arg]
    yield 1


def one_way(other: list[int]) -> Iterator[dict[str, int]]:
    yield {}


def other_way(one: dict[str, int]) -> Iterator[list[int]]:
    yield []


def two_engines() -> None:
    for name in ("first", "second"):

        def engine() -> Iterator[Engine]:
            yield Engine()

        engine.__name__ = name
        resource(engine)


def circle() -> None:
    resource(one_way)
    resource(other_way)


def handler_of(function: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: registry.on("user.delete", name="it")(function)


def wants_engine(event: Event, db: Engine) -> None: ...
def wants_decimal(event: Event, price: "Decimal") -> None: ...
def wants_clock(event: Event, clock: Clock) -> None: ...
def wants_object(event: Event, thing: object) -> None: ...
def no_generator(event: Event) -> Any: ...
def plain(letter: DeadLetter) -> None: ...


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        pytest.param([handler_of(wants_engine)], "no @resource yields a Engine for its parameter db", id="none"),
        pytest.param([handler_of(wants_clock)], "no @resource yields a Clock", id="a protocol"),
        pytest.param([two_engines, handler_of(wants_engine)], "first and second all yield a Engine", id="two"),
        pytest.param([two_engines, handler_of(wants_object)], "no @resource yields a object", id="anything"),
        pytest.param([handler_of(wants_decimal)], "cannot be read .*Decimal.*TYPE_CHECKING", id="for checkers only"),
        pytest.param([lambda: resource(no_type)], r"annotate what it yields.*Iterator\[Pool\]", id="untyped"),
        pytest.param([circle], "one_way -> other_way -> one", id="circle"),
        pytest.param([lambda: resource(lambda: iter([1]))], "opens something, yields it", id="no generator"),
        pytest.param([lambda: resource(lambda thing: (yield thing))], "annotate its parameters", id="no annotation"),
        pytest.param([lambda: around(no_generator)], "yields once", id="around without yield"),
        pytest.param([lambda: on_dead_letter(lambda letter: (yield))], "without `yield`", id="letter with yield"),
        pytest.param([lambda: on_dead_letter(lambda letter, attempt: None)], r"of \(letter\)", id="letter, attempt"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(declare: list[Callable[[], Any]], says: str) -> None:
    def load() -> None:
        for each in declare:
            each()
        check_injection(Registry(registry.declared))

    with pytest.raises(Misconfigured, match=says):
        load()


def test_all_keep_the_functions_own_type() -> None:
    assert resource(other_way) is other_way
    assert on_dead_letter(plain) is plain
