from typing import Any
from uuid import UUID

import pytest

from harness.events import TENANT_ID, USER_ID, a_body, an_event
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import MalformedBody


def body_with(**fields: Any) -> bytes:
    return a_body(an_event(**fields))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no envelope"),
        pytest.param(b'{"event": null}', id="null event"),
        pytest.param(b'{"event": []}', id="event is a list"),
        pytest.param(b'{"event": {}}', id="no type"),
        pytest.param(b'{"event": {"type": "test"}', id="cut off"),
        pytest.param(b'{"event": {"type": "test", "n": NaN}}', id="NaN is not JSON"),
        pytest.param(b'{"event": {"type": "test", "n": -Infinity}}', id="Infinity is not JSON"),
        pytest.param(b'{"event": {"type": "te\xff"}}', id="bad UTF-8"),
        pytest.param(b'{"event": {"type": "test", "x": "\x00"}}', id="NUL byte"),
        pytest.param('{"event": {"type": "test"}}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 200_000, id="deep nesting, open"),
        pytest.param(b'{"event":' + b"[" * 200_000 + b"]" * 200_000 + b"}", id="deep nesting"),
        pytest.param(body_with(type=7), id="type is a number"),
        pytest.param(body_with(type=""), id="type is empty"),
        pytest.param(body_with(type="<script>"), id="type is no word"),
        pytest.param(body_with(type="a" * 101), id="type is long"),
        pytest.param(body_with(type="user.create\n"), id="type with a newline"),
        pytest.param(body_with(type="\ud800"), id="type is a lone surrogate"),
        pytest.param(body_with(id=7), id="id is a number"),
        pytest.param(body_with(id=["x"]), id="id is a list"),
        pytest.param(body_with(id=""), id="id is empty"),
        pytest.param(body_with(id="not-a-uuid"), id="id is no UUID"),
        pytest.param(body_with(id="8" * 1024), id="id is a kilobyte"),
        pytest.param(body_with(id=f"{{{USER_ID}}}"), id="id in braces"),
        pytest.param(body_with(id=USER_ID + "\n"), id="id with a newline"),
    ],
)
def test_a_body_that_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_envelope(body)


def test_the_envelope_has_the_ids_of_the_event() -> None:
    envelope = parse_envelope(body_with(id=USER_ID.upper(), applicationId=USER_ID))

    assert envelope.event_id == USER_ID
    assert (envelope.tenant_id, envelope.user_id, envelope.application_ids) == (TENANT_ID, USER_ID, USER_ID)


OTHER_APPLICATION_ID = "cc05b7de-bb29-4d2c-ba2a-7d3c3a5ab2a8"


@pytest.mark.parametrize(
    ("fields", "application_ids"),
    [
        pytest.param({"applicationId": USER_ID.upper()}, [USER_ID], id="one"),
        pytest.param({"applicationIds": [OTHER_APPLICATION_ID, USER_ID]}, [OTHER_APPLICATION_ID, USER_ID], id="a list"),
        pytest.param({"applicationTimeToLiveInSeconds": {USER_ID: 60}}, [USER_ID], id="times to live"),
        pytest.param(
            {"applicationId": USER_ID, "applicationTimeToLiveInSeconds": {OTHER_APPLICATION_ID: 60, USER_ID: 60}},
            [USER_ID, OTHER_APPLICATION_ID],
            id="one, and times to live",
        ),
        pytest.param({"user": {"registrations": [{"applicationId": USER_ID}, {}]}}, [USER_ID], id="a registration"),
        pytest.param(
            {"applicationId": OTHER_APPLICATION_ID, "user": {"registrations": [{"applicationId": USER_ID}]}},
            [OTHER_APPLICATION_ID],
            id="one wins over registrations",
        ),
        pytest.param(
            {"applicationIds": [], "user": {"registrations": [{"applicationId": USER_ID}]}}, [USER_ID], id="0"
        ),
        pytest.param({"applicationIds": [None, 7, [], {}, "x", f"{USER_ID}\n"]}, [], id="an odd list"),
        pytest.param({"applicationIds": {USER_ID: 1}, "applicationTimeToLiveInSeconds": [USER_ID]}, [], id="odd kinds"),
        pytest.param({"user": {"registrations": {"applicationId": USER_ID}}}, [], id="odd registrations"),
        pytest.param({"user": [], "applicationId": None}, [], id="none"),
    ],
)
def test_an_event_is_of_every_application_that_it_names(fields: dict[str, Any], application_ids: list[str]) -> None:
    assert parse_envelope(body_with(**fields)).application_ids == ",".join(application_ids)


@pytest.mark.parametrize("value", ["1700000000000.0", "1.7e12", "9" * 5_000, "1.5", "-1", '"now"', "true", "[]", "{}"])
def test_any_instant_is_accepted(value: str) -> None:
    body = b'{"event":{"type":"test","createInstant":%s}}' % value.encode()

    assert parse_envelope(body).event_type == "test"


@pytest.mark.parametrize("tenant", ["mara@example.com", 7, {}, ["x"]])
def test_a_tenant_that_is_no_uuid_is_not_indexed(tenant: object) -> None:
    assert parse_envelope(body_with(tenantId=tenant)).tenant_id == ""


def test_an_event_without_an_id_gets_the_same_id_for_the_same_bytes() -> None:
    body, other = body_with(id=None), body_with(id=None, more=1)

    assert parse_envelope(body).event_id == parse_envelope(body).event_id
    assert parse_envelope(body).event_id != parse_envelope(other).event_id
    assert UUID(parse_envelope(body).event_id).version == 5
