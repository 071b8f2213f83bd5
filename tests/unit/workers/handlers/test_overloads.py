"""`@on` tells type checkers what runs will bring. `make check` reads this file too: a wrong claim fails there."""

import inspect
from types import SimpleNamespace
from typing import Any, Literal, assert_type, get_args, get_overloads, get_type_hints

import pytest

from surehook import Attempt, on
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models import MODELS, Event
from surehook.shared.models.account_events import UserCreate, UserDelete, UserUpdate
from surehook.shared.models.event import EntityEvent, GroupEvent, UserEvent, UserRegistrationEvent
from surehook.workers.handlers import registry
from surehook.workers.handlers.overloads import On, Options
from tools.generate_overloads import TARGET, overloads

# A protocol has the overloads and no function to ask for them by.
PLACE: Any = SimpleNamespace(__module__=On.__module__, __qualname__="On.__call__")
OVERLOADS = get_overloads(PLACE)


def taken_by(overload: Any) -> type[Event]:
    """The class that a function under this overload takes."""
    (parameter,), variable = get_args(get_type_hints(overload)["return"])
    assert parameter is variable  # it keeps its own type
    parameters, _ = get_args(variable.__bound__)
    event, others = get_args(parameters)
    assert others is ...
    assert isinstance(event, type)
    return event


def types_of(overload: Any) -> tuple[str, ...] | None:
    hints = get_type_hints(overload)
    hint = hints.get("event_type", hints.get("event_types"))
    return None if hint is str else get_args(hint)


def test_the_generated_file_is_current() -> None:
    assert TARGET.read_text() == overloads(), "run: make overloads"


def test_each_type_has_its_own_class() -> None:
    single = {types_of(each): taken_by(each) for each in OVERLOADS if "event_type" in get_type_hints(each)}

    assert single == {(name,): MODELS[name] for name in EVENT_TYPES}


def test_several_types_have_the_nearest_class_that_all_of_them_are() -> None:
    families = [each for each in OVERLOADS if "event_types" in get_type_hints(each)]
    seen: list[type[Event]] = []

    for each in families[:-1]:
        family, types = taken_by(each), types_of(each)
        assert set(types or ()) == {name for name in EVENT_TYPES if issubclass(MODELS[name], family)}
        assert not any(issubclass(family, wider) for wider in seen), "the narrower family is tried first"
        seen.append(family)

    assert (types_of(families[-1]), taken_by(families[-1])) == (None, Event)
    assert {UserEvent, GroupEvent, EntityEvent, UserRegistrationEvent} <= set(seen)
    bases = {base for model in MODELS.values() for base in model.__mro__ if issubclass(base, Event)}
    assert set(seen) == bases - {Event} - set(MODELS.values())


def test_the_options_are_those_that_on_takes() -> None:
    parameters = inspect.signature(registry.on).parameters.values()

    named = {each.name: each.annotation for each in parameters if each.kind is each.KEYWORD_ONLY}

    assert get_type_hints(Options) == named
    assert on is registry.on


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])


def test_a_function_takes_its_types_class_and_keeps_its_own_type() -> None:
    @on("user.delete", retries=3, name="one")
    def plain(event: UserDelete) -> int:
        assert_type(event.type, Literal["user.delete"])
        if event.user is not None:
            assert_type(event.user.email, str | None)
        return 1

    @on("user.delete", name="two")
    async def with_attempt(event: UserDelete, attempt: Attempt) -> None: ...

    @on("user.delete", name="three")
    def with_default(event: UserEvent, attempt: Attempt | None = None) -> None: ...

    @on("user.delete", name="resources")
    async def with_resources(event: UserDelete, attempt: Attempt, *, numbers: list[int]) -> None: ...

    @on("user.*", "group.create", name="four")
    def any_event(event: Event) -> None: ...

    @on("user.create", "user.update", name="five")
    def family(event: UserEvent) -> str:
        return str(event.user)

    def calls(deleted: UserDelete, updated: UserUpdate) -> None:
        assert_type(plain(event=deleted), int)
        assert_type(family(updated), str)
        with_default(updated, attempt=None)

    assert callable(calls)


def test_a_function_that_takes_something_else_is_a_type_error() -> None:
    @on("user.delete", name="one")  # type: ignore[type-var]
    def another(event: UserCreate) -> None: ...

    @on("user.create", "user.update", name="two")  # type: ignore[type-var]
    def too_narrow(event: UserCreate) -> None: ...

    @on("user.*", name="three")  # type: ignore[type-var]
    def no_plain_event(event: UserEvent) -> None: ...

    @on("user.delete", name="four")
    def misspelt(event: UserDelete) -> None:
        event.usr  # type: ignore[attr-defined]  # noqa: B018
        event.type = "user.create"  # type: ignore[assignment, misc]
        event.user.emial  # type: ignore[union-attr]  # noqa: B018

    @on("user.delete", name="five")
    def plain(event: Event) -> None:
        event.user  # type: ignore[attr-defined]  # noqa: B018

    assert len(registry.declared) == 5
