import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from surehook.fusionauth.samples import SAMPLE_USER_ID, sample
from surehook.shared.envelope import parse_envelope
from surehook.shared.event_types import EVENT_TYPES

_NOW = datetime(2031, 5, 17, 9, 30, 0, 250_000, tzinfo=UTC)
_EVENT_ID = UUID("a4f20c97-58b1-4e6d-93c0-7d15e8b2f604")
_TENANTLESS = {"event-log.create", "kickstart.success"}
# A login with a password has no identity provider, and seldom is everything a duplicate at once.
_OPTIONAL = {"duplicatePhoneNumber", "duplicateUsername", "identityProviderId", "identityProviderName"}

every_type = pytest.mark.parametrize("event_type", EVENT_TYPES)


def _event(event_type: str) -> dict[str, Any]:
    body = sample(event_type, now=_NOW, event_id=_EVENT_ID)
    assert list(body) == ["event"]
    event: dict[str, Any] = body["event"]
    return event


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields every field of an object and of nested objects."""
    if isinstance(value, list):
        for item in value:
            yield from _fields(item)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from _fields(inner)


@every_type
def test_sample_has_the_fields_of_its_type_and_no_others(event_type: str) -> None:
    common = {"createInstant", "id", "info", "linkedObjectId", "tenantId", "type"}
    known = set(EVENT_TYPES[event_type].fields)

    own = set(_event(event_type)) - common

    assert known - _OPTIONAL <= own <= known


@every_type
def test_sample_has_the_envelope_that_fusionauth_sends(event_type: str) -> None:
    event = _event(event_type)

    assert event["type"] == event_type
    assert event["id"] == str(_EVENT_ID)
    assert event["createInstant"] == 1_936_776_600_250
    assert ("tenantId" in event) == (event_type not in _TENANTLESS)
    if event_type != "kickstart.success":
        assert set(event["info"]) == {"ipAddress", "userAgent"}


@every_type
def test_sample_is_accepted_after_a_round_trip_through_json(event_type: str) -> None:
    body = sample(event_type, now=_NOW, event_id=_EVENT_ID)
    encoded = json.dumps(body).encode()

    envelope = parse_envelope(encoded)

    assert json.loads(encoded) == body
    assert envelope.event_id == str(_EVENT_ID)
    assert envelope.event_type == event_type


@every_type
def test_same_arguments_give_the_same_sample_in_fresh_objects(event_type: str) -> None:
    first = _event(event_type)
    spoilt = _event(event_type)
    for value in spoilt.values():
        if isinstance(value, dict | list):
            value.clear()

    assert _event(event_type) == first


@every_type
def test_sample_leaves_nulls_out_and_uses_camel_case(event_type: str) -> None:
    for name, value in _fields(_event(event_type)):
        assert value is not None, name
        is_map_key = len(name) == 36  # seconds by application id
        assert is_map_key or (name.isalnum() and name[0].islower()), name


@every_type
def test_every_address_in_a_sample_is_at_example_com(event_type: str) -> None:
    strings = [value for _, value in _fields(_event(event_type)) if isinstance(value, str)]
    addresses = [value for value in strings if "@" in value]

    assert all(address.endswith("@example.com") for address in addresses)


@pytest.mark.parametrize("event_type", [name for name in EVENT_TYPES if "user" in EVENT_TYPES[name].fields])
def test_user_of_a_sample_is_always_the_same(event_type: str) -> None:
    event = _event(event_type)

    assert event["user"]["id"] == str(SAMPLE_USER_ID)
    assert event["user"]["tenantId"] == event["tenantId"]
    assert event["linkedObjectId"] == str(SAMPLE_USER_ID)


@pytest.mark.parametrize(
    ("event_type", "path"),
    [
        pytest.param("group.member.add", ("group", "id"), id="group"),
        pytest.param("entity.update.complete", ("entity", "id"), id="entity"),
        pytest.param("jwt.refresh", ("userId",), id="token"),
        pytest.param("user.action", ("actioneeUserId",), id="user action"),
    ],
)
def test_sample_links_the_object_it_is_about(event_type: str, path: tuple[str, ...]) -> None:
    event = value = _event(event_type)
    for name in path:
        value = value[name]

    assert event["linkedObjectId"] == value


def test_events_about_no_single_object_link_none() -> None:
    unlinked = {name for name in EVENT_TYPES if "linkedObjectId" not in _event(name)}

    assert unlinked == {
        "audit-log.create",
        "event-log.create",
        "jwt.public-key.update",
        "kickstart.success",
        "test",
        "user.bulk.create",
    }


@pytest.mark.parametrize("event_type", [name for name in EVENT_TYPES if "original" in EVENT_TYPES[name].fields])
def test_original_of_an_update_differs_from_the_result(event_type: str) -> None:
    event = _event(event_type)
    current = next(event[name] for name in ("registration", "group", "entity", "token", "user") if name in event)

    assert type(event["original"]) is type(current)
    assert event["original"] != current


def test_sample_follows_the_clock_it_is_given() -> None:
    later = sample("user.create", now=_NOW + timedelta(seconds=3), event_id=_EVENT_ID)["event"]

    assert later["createInstant"] - _event("user.create")["createInstant"] == 3000
    assert later["user"]["insertInstant"] == later["createInstant"]


@pytest.mark.parametrize("event_type", ["", "user.created", "user.create.complete.complete", "group.delete.create"])
def test_unknown_type_has_no_sample(event_type: str) -> None:
    with pytest.raises(KeyError):
        sample(event_type, now=_NOW, event_id=_EVENT_ID)
