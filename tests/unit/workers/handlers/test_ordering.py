"""`ordered_by`, `on_dead`, `latest_only` and `changed`: wrong options are named, keys and changes are found."""

from typing import Any
from uuid import UUID

import pytest

from harness.events import TENANT_ID, USER_ID
from surehook import on
from surehook.events import Event, UserUpdateComplete
from surehook.shared.errors import Misconfigured
from surehook.testing import an_event
from surehook.workers.handlers import registry
from surehook.workers.handlers.ordering import Order, has_changed

OBJECT_ID = "0f9b1d4e-7a52-4a1c-9b1f-2f3f4c5d6e7f"


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])


async def by_await(event: Event) -> str:
    return ""


@pytest.mark.parametrize(
    ("types", "options", "sentence"),
    [
        (["user.*"], {"ordered_by": "usr"}, 'did you mean "user"?'),
        (["user.*"], {"ordered_by": 5}, "or a function of the event, not 5"),
        (["user.*"], {"ordered_by": by_await}, "ordered_by takes a plain function"),
        (["group.create"], {"ordered_by": "user"}, "names no user"),
        (["kickstart.success"], {"ordered_by": "tenant"}, "names no tenant"),
        (["user.*"], {"ordered_by": "user", "on_dead": "stop"}, 'on_dead must be "hold" or "skip"'),
        (["user.*"], {"on_dead": "skip"}, "does nothing without ordered_by"),
        (["user.update"], {"latest_only": True}, "latest_only=True needs ordered_by"),
        (
            ["group.member.add"],
            {"latest_only": True, "ordered_by": "tenant"},
            "group.member.add do not have",
        ),
        (["user.update"], {"changed": "email"}, 'changed=("email",)'),
        (["user.update"], {"changed": ("emial",)}, "did you mean 'email'?"),
        (["user.update"], {"changed": ("email.domain",)}, "compare 'email' as a whole"),
        (["user.create"], {"changed": ("email",)}, "which events of user.create do not have"),
        (["user.registration.update"], {"changed": ("email",)}, "which a UserRegistration does not have"),
        (["something.new*"], {"changed": ("email",)}, "for types that Surehook knows"),
        (["user.create"], {"ordered_by": "user", "transactional": True}, "for handlers without transactional=True"),
    ],
)
def test_a_wrong_option_is_named_with_what_to_change(types: list[str], options: Any, sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        on(*types, name="mirror", **options)(lambda event: None)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("types", "options"),
    [
        (["user.*", "jwt.refresh"], {"ordered_by": "user"}),
        (["*"], {"ordered_by": "tenant", "on_dead": "skip"}),
        (["user.update", "user.update.complete"], {"changed": ["email", "data.plan"]}),
        (["user.registration.update"], {"changed": ("roles",)}),
        (["group.update", "entity.update"], {"latest_only": True, "ordered_by": "linked_object"}),
    ],
)
def test_right_options_are_accepted(types: list[str], options: Any) -> None:
    on(*types, name="mirror", **options)(lambda event: None)

    assert len(registry.declared) == 1


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("user", USER_ID),
        ("tenant", TENANT_ID),
        ("linked_object", OBJECT_ID),
        (lambda event: event.user.id, USER_ID),
        (lambda event: 7, "7"),
        (lambda event: None, ""),
    ],
)
def test_the_key_of_an_event(by: Any, key: str) -> None:
    event = an_event("user.update", user={"id": USER_ID}, tenantId=TENANT_ID, linkedObjectId=OBJECT_ID)

    assert Order(by).key_of(event) == key


@pytest.mark.parametrize("by", ["user", "linked_object"])
def test_an_event_without_the_key_has_no_place(by: str) -> None:
    assert Order(by).place_of(an_event("user.update", user=None, linkedObjectId=None)) == ""


@pytest.mark.parametrize("key", [True, ["a"], 1.5, object()])
def test_a_key_of_another_kind_is_an_error(key: object) -> None:
    with pytest.raises(TypeError, match="it must give text, a whole number, a UUID or None"):
        Order(lambda _: key).key_of(an_event("user.update"))


def test_a_place_shows_neither_the_key_nor_the_object() -> None:
    event = an_event(UserUpdateComplete, user={"id": USER_ID, "lastUpdateInstant": 1_700_000_000_000})

    place = Order("user", "skip", latest_only=True).place_of(event)

    assert place.startswith("skip:")
    assert place.endswith(":1700000000000")
    assert USER_ID not in place
    assert str(UUID(USER_ID).hex) not in place


Change = dict[str, Any]


@pytest.mark.parametrize(
    ("fields", "before", "after", "differs"),
    [
        (("email",), {"email": "a@b.c"}, {"email": "a@b.c", "firstName": "Ann"}, False),
        (("email",), {"email": "a@b.c"}, {"email": "d@e.f"}, True),
        (("email", "first_name"), {"firstName": "Ann"}, {"firstName": "Bea"}, True),
        (("email",), {}, {"email": "d@e.f"}, True),
        (("data.plan",), {"data": {"plan": "s", "seen": 1}}, {"data": {"plan": "s", "seen": 2}}, False),
        (("data.plan",), {"data": {"plan": "s"}}, {"data": {"plan": "m"}}, True),
        (("data",), {"data": {"plan": "s", "seen": 1}}, {"data": {"plan": "s", "seen": 2}}, True),
        (("email",), None, {"email": "d@e.f"}, True),
    ],
)
@pytest.mark.parametrize("fits", [True, False], ids=["typed", "plain"])
def test_a_change_is_a_difference_in_a_named_field(
    fields: tuple[str, ...], before: Change | None, after: Change, differs: bool, fits: bool
) -> None:
    original = None if before is None else {"email": None} | before
    extra = {} if fits else {"birthDate": 5}  # a body that does not fit its model gives a plain event
    event = an_event("user.update", user={"email": None} | after | extra, original=original)

    assert isinstance(event, Event)
    assert bool(event.misfits) is not fits
    assert has_changed(event, fields) is differs


def test_the_options_of_two_decorators_on_one_function_must_agree() -> None:
    def mirror(event: Event) -> None: ...

    on("user.create", name="mirror", ordered_by="user")(mirror)
    on("user.update", name="mirror")(mirror)

    with pytest.raises(Misconfigured, match="differ in more than their types"):
        registry.Registry(registry.declared)
