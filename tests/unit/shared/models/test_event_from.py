"""Every body that the endpoint accepts becomes an event, even an unusual one."""

import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from harness.events import TENANT_ID, USER_ID, a_body, an_event
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import MalformedBody
from surehook.shared.models import Event, event_from
from surehook.shared.models.account_events import UserCreate, UserDelete
from surehook.shared.models.fields import Fields
from surehook.shared.models.login_events import UserAction
from surehook.shared.models.model import LATEST
from surehook.shared.models.other_events import GroupCreate
from tests.support.payloads import SAMPLES


def event_with(event_type: str = "user.delete", **fields: Any) -> Event:
    return event_from(USER_ID, a_body(an_event(event_type, **fields)))


ODDITIES = [
    pytest.param('"n": ' + "9" * 5000, id="an int of 5000 digits"),
    pytest.param('"linkedObjectId": ' + "9" * 5000, id="an id of 5000 digits"),
    pytest.param('"createInstant": ' + "9" * 5000, id="an instant of 5000 digits"),
    pytest.param('"n": 1e400', id="a float beyond double"),
    pytest.param('"info": {"location": {"latitude": 1e400}}', id="a latitude beyond double"),
    pytest.param('"k": 1, "k": 2', id="a duplicate key"),
    pytest.param('"s": "\\ud800"', id="a lone surrogate"),
    pytest.param('"\\ud800": 1', id="a lone surrogate as a key"),
    pytest.param('"user": {"email": "\\ud800"}', id="a lone surrogate as an address"),
    pytest.param('"user": {"\\ud800": {"\\ud800": 1}}', id="lone surrogates as nested keys"),
    pytest.param('"user": {"birthDate": "\\ud800"}', id="a lone surrogate as a date"),
    pytest.param('"s": "\\u0000"', id="an escaped NUL"),
    pytest.param('"user": 7', id="a user that is a number"),
    pytest.param('"user": {"id": []}', id="a user id that is a list"),
    pytest.param('"info": [[[[]]]]', id="an info that is a list"),
    pytest.param('"info": 7', id="an info that is a number"),
    pytest.param('"": ""', id="an empty key"),
    pytest.param(
        '"raw": 1, "misfits": 2, "_raw": 3, "__class__": 4, "__dict__": 5', id="keys like attributes of Event"
    ),
    pytest.param('"model_config": 1, "model_fields_set": 2, "self": 3, "get": 4, "keys": 5', id="keys like methods"),
    pytest.param('"user": {"data": ' + "[" * 800 + "]" * 800 + "}", id="deep nesting in data"),
    pytest.param('"user": {"new": ' + '{"a":' * 800 + "1" + "}" * 800 + "}", id="deep nesting in a new field"),
    pytest.param('"auditLog": {"newValue": ' + "[" * 800 + "]" * 800 + "}", id="deep nesting in a value"),
    pytest.param('"user": ' + '{"user":' * 300 + "1" + "}" * 300, id="users in users"),
]


@pytest.mark.parametrize("event_type", ["user.update", "audit-log.create", "brand.new"])
@pytest.mark.parametrize("inside", ODDITIES)
def test_unusual_but_valid_json_becomes_an_event(event_type: str, inside: str) -> None:
    body = f'{{"event": {{"type": "{event_type}", "id": "{USER_ID}", {inside}}}}}'.encode()

    event = event_from(parse_envelope(body).event_id, body)

    assert event.raw == body
    assert event.type == event_type
    assert str(USER_ID) in repr(event)
    assert all(isinstance(name, str) for name in event.keys())  # noqa: SIM118 - no dict
    assert event == copy.deepcopy(event)


def test_a_body_as_deep_as_the_endpoint_accepts_is_read_at_any_depth_of_the_stack() -> None:
    def deepest(depth: int) -> bytes:
        body = b'{"event": {"type": "test", "x": ' + b"[" * depth + b"]" * depth + b"}}"
        try:
            parse_envelope(body)
        except MalformedBody:
            return deepest(depth - 1) if depth % 50 else b""
        return body

    def further_down(frames: int, body: bytes) -> Event:
        return further_down(frames - 1, body) if frames else event_from(USER_ID, body)

    body = next(body for depth in range(1000, 0, -50) if (body := deepest(depth)))

    assert further_down(60, body).raw == body


def test_a_body_that_does_not_fit_is_the_generic_event_and_says_where() -> None:
    event = event_with(user={"email": "mara@example.com", "birthDate": 7, "registrations": [{"verified": "yes"}]})

    assert type(event) is Event
    assert event.misfits == ("user.birthDate", "user.registrations")
    assert (event.id, event.tenant_id, event.type) == (UUID(USER_ID), UUID(TENANT_ID), "user.delete")
    assert isinstance(event["user"], Fields)
    assert event["user"].email == event["user"]["email"] == "mara@example.com"
    assert event["user"].birth_date == 7
    assert event["user"].registrations[0].verified == "yes"


def test_misfits_do_not_quote_a_users_own_keys() -> None:
    event = event_with(user={"registrations": [{"tokens": {"mara@example.com": 7}}]}, mara=1)

    assert event.misfits == ("user.registrations",)
    assert "mara" not in repr(event.misfits)


def test_a_misfit_keeps_the_fields_that_all_events_have() -> None:
    event = event_with(user=7, info={"ipAddress": "203.0.113.7"})

    assert type(event) is Event
    assert event.info is not None
    assert event.info.ip_address == "203.0.113.7"


def test_an_unknown_type_arrives_as_the_base_class() -> None:
    event = event_with("brand.new", shiny={"newThing": [1, {"a": 2}]}, info={"ipAddress": "203.0.113.7"})

    assert type(event) is Event
    assert event.misfits == ()
    assert event.info is not None
    assert event["shiny"]["newThing"][1]["a"] == 2
    assert getattr(event, "shiny").new_thing[1].a == 2  # noqa: B009 - no type checker knows it
    assert getattr(event, "no_such_field") is None  # noqa: B009 - the same


def test_unknown_fields_are_kept_at_every_depth() -> None:
    event = event_with("user.create", brandNew=1, user={"pronouns": ["they"], "id": USER_ID, "odd": {"inHere": 1}})

    assert isinstance(event, UserCreate)
    assert event["brandNew"] == event.get("brandNew") == 1
    assert event.user is not None
    assert event.user["pronouns"] == ("they",)
    assert event.user["odd"].in_here == 1
    assert set(event.user.keys()) == {"pronouns", "id", "odd"}
    assert event.user["id"] == UUID(USER_ID)
    assert getattr(event.user, "pronouns") == ("they",)  # noqa: B009 - no type checker knows it


def test_a_missing_field_is_none_by_attribute_and_missing_by_name() -> None:
    event = event_with("user.create", user={})

    assert isinstance(event, UserCreate)
    assert event.user is not None
    assert [event.user.email, event.linked_object_id, event.info] == [None, None, None]
    assert event.user.get("email", "none") == event.user.get("pronouns", "none") == "none"
    assert "email" not in event.user
    with pytest.raises(KeyError):
        event.user["email"]
    assert getattr(event.user, "pronouns") is None  # noqa: B009 - as if the class knew it
    assert getattr(event, "users") is None  # noqa: B009 - a field of other types
    for misspelt, name in ((event.user, "e_mail"), (event.user, "firstName"), (event, "tenantID")):
        with pytest.raises(AttributeError, match=f"{name}: it is spelt (email|first_name|tenant_id)"):
            getattr(misspelt, name)


def test_an_event_knows_its_instant_and_ids() -> None:
    event = event_with()

    assert (event.id, event.tenant_id) == (UUID(USER_ID), UUID(TENANT_ID))
    assert event.create_instant == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_an_event_and_its_objects_are_immutable() -> None:
    user = {"email": "mara@example.com", "data": {"a": {"b": [1]}}, "registrations": [{"tokens": {"a": "b"}}]}
    event: Any = event_with("user.create", user=user, new={"a": []})

    for thing, name in ((event, "type"), (event, "id"), (event.user, "email"), (event.user, "other")):
        with pytest.raises(AttributeError):
            setattr(thing, name, "x")
        with pytest.raises(AttributeError):
            delattr(thing, name)
    for mapping in (event, event.user, event.user.data, event.user.data.a, event.user.registrations[0].tokens):
        with pytest.raises(TypeError):
            mapping["a"] = 1
    assert event.user.data.a.b == (1,)
    assert event["new"].a == ()


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in SAMPLES.items()])
def test_no_repr_contains_a_value(body: bytes) -> None:
    def check(value: Any) -> None:
        for text in (repr(value), str(value), f"{value}"):
            for word in ("example.com", "Mirela", "203.0.113", "mirela"):
                assert word not in text
        if hasattr(value, "keys"):
            for name in (*value.keys(),):
                if hasattr(value[name], "keys"):
                    check(value[name])

    check(event_from(USER_ID, body))


def test_events_are_equal_by_id_and_bytes_and_can_be_in_a_set() -> None:
    body, other = a_body(an_event(id=USER_ID)), a_body(an_event(id=USER_ID, more=1))
    event = event_from(USER_ID, body)

    assert event == event_from(USER_ID, body)
    assert event != event_from(USER_ID, other)
    assert event != event_from(TENANT_ID, body)
    assert len({event, event_from(USER_ID, body), event_from(USER_ID, other)}) == 2
    assert isinstance(event, UserDelete)
    assert event.user == event_from(USER_ID, other).user  # type: ignore[attr-defined]
    assert hash(event.user) == hash(event_from(USER_ID, other).user)  # type: ignore[attr-defined]


@pytest.mark.parametrize("event_type", ["user.registration.create", "group.create", "audit-log.create", "brand.new"])
def test_an_event_can_be_pickled_for_another_process(event_type: str) -> None:
    event = event_from(USER_ID, SAMPLES.get(event_type, a_body(an_event(event_type, new={"a": [1]}))))

    same = pickle.loads(pickle.dumps(event))  # noqa: S301 - our own bytes

    assert same == event
    assert (same.raw, same.misfits, same.keys(), repr(same)) == (event.raw, (), event.keys(), repr(event))


@pytest.mark.parametrize("event_type", ["user.update", "group.create", "audit-log.create", "user.action"])
def test_an_event_can_be_written_as_json(event_type: str) -> None:
    written = json.loads(event_from(USER_ID, SAMPLES[event_type]).model_dump_json(by_alias=True, exclude_unset=True))

    assert written.keys() == json.loads(SAMPLES[event_type])["event"].keys()


def test_an_instant_beyond_the_calendar_is_the_last_one_there_is() -> None:
    event = event_with("user.action", expiry=2**63 - 1)  # FusionAuth's "for ever"

    assert isinstance(event, UserAction)
    assert event.expiry == LATEST
    for odd in (10**30, "now", True, ["x"]):
        assert event_with(createInstant=odd).create_instant is None


def test_roles_are_read_by_application() -> None:
    event = event_with("group.create", group={"roles": {TENANT_ID: [{"name": "reader", "isDefault": True}]}})

    assert isinstance(event, GroupCreate)
    assert event.group is not None
    assert event.group.roles is not None
    assert event.group.roles[UUID(TENANT_ID)][0].name == event.group.roles[TENANT_ID][0].name == "reader"
    assert isinstance(hash(event.group.roles), int)
    with pytest.raises(TypeError):
        event.group.roles.clear()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"event": {}}', b'{"event": {"type": ["x"]}}'])
def test_a_record_changed_by_hand_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        event_from(USER_ID, body)
