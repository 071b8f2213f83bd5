"""The test kit builds events."""

from datetime import UTC, date, datetime
from typing import assert_type
from uuid import UUID

import pytest

from harness.events import TENANT_ID, USER_ID
from surehook.events import Test, User, UserCreate, UserDelete, UserEvent
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models import MODELS, Event
from surehook.testing import an_event


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_any_event_can_be_built_by_its_class_and_by_its_type(event_type: str) -> None:
    by_class, by_type = an_event(MODELS[event_type]), an_event(event_type)

    assert type(by_class) is type(by_type) is MODELS[event_type]
    assert by_class.id != by_type.id


def test_an_event_is_built_with_the_given_changes() -> None:
    user_id, born, login = UUID(USER_ID), date(1990, 8, 3), datetime(2026, 5, 1, 12, tzinfo=UTC)

    event = an_event(
        UserDelete,
        id=user_id,
        tenant_id=TENANT_ID,
        user={"id": user_id, "first_name": "Ada", "lastName": None, "birthDate": born, "last_login_instant": login},
        info=None,
        brand_new={"so_new": 1},
    )

    assert_type(event, UserDelete)
    assert (event.id, str(event.tenant_id), event.info) == (user_id, TENANT_ID, None)
    assert event["brandNew"].so_new == 1
    assert event.user is not None
    assert (event.user.id, event.user.first_name, event.user.last_name) == (user_id, "Ada", None)
    assert (event.user.birth_date, event.user.last_login_instant) == (born, login)
    assert event.user.email == "mirela.tanase@example.com", "the rest is the sample's"


def test_names_in_free_form_fields_are_kept_and_models_can_be_given() -> None:
    first = an_event(UserCreate, user={"data": {"favorite_color": "red", "since": UUID(USER_ID)}})
    assert isinstance(first.user, User)

    second = an_event(UserDelete, user=first.user)

    assert second.user is not None
    assert second.user == first.user
    assert second.user.data is not None
    assert second.user.data["favorite_color"] == "red"
    assert second.user.data["since"] == USER_ID


def test_an_event_that_does_not_fit_its_class_is_refused_but_built_by_its_type() -> None:
    with pytest.raises(ValueError, match=r"user\.birthDate has no valid value for a UserDelete"):
        an_event(UserDelete, user={"birthDate": 7})
    with pytest.raises(ValueError, match="UserEvent has no single type"):
        an_event(UserEvent)

    assert type(an_event("user.delete", user={"birthDate": 7})) is Event
    assert an_event("brand.new", shiny=1)["shiny"] == 1


def test_a_misspelt_type_is_an_error_that_names_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"there is no event type user\.craete: did you mean user\.create"):
        an_event("user.craete")

    assert an_event("user.login.postponed").type == "user.login.postponed"  # may be newer than this release


def test_pytest_does_not_collect_the_event_called_test() -> None:
    assert an_event(Test).message is not None
    assert not Test.__test__
