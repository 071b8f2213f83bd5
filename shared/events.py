"""Events: what the door reads of a body, and what a handler gets.

The body is kept as the bytes that came. The door parses it once, for the envelope alone; the worker parses it
again for the handler.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from shared.errors import MalformedBody

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# FusionAuth's types are dotted words. Anything else would travel into logs, job descriptions and web pages.
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the door needs to know of an event. Ids are lower-case UUIDs, "" where there is none."""

    event_id: str
    event_type: str
    tenant_id: str
    user_id: str
    application_id: str
    body: bytes


def parse_envelope(body: bytes) -> Envelope:
    """Read an event's envelope.

    Raises:
        MalformedBody: not JSON, not `{"event": {...}}`, no type, or a field of the envelope is of a wrong type.
    """
    event = parse_event(body)
    event_type = event.get("type")
    if not isinstance(event_type, str) or not _TYPE.fullmatch(event_type):
        raise MalformedBody("event.type must be an event type such as user.create")
    created = event.get("createInstant")
    if created is not None and (isinstance(created, bool) or not isinstance(created, int | Decimal)):
        raise MalformedBody("event.createInstant must be a whole number of milliseconds")
    tenant_id = event.get("tenantId")
    if tenant_id is not None and not isinstance(tenant_id, str):
        raise MalformedBody("event.tenantId must be a string")
    return Envelope(
        event_id=_event_id(event.get("id"), body),
        event_type=event_type,
        tenant_id=_uuid_or_nothing(tenant_id),
        user_id=_user_id(event),
        application_id=_uuid_or_nothing(event.get("applicationId")),
        body=body,
    )


def parse_event(body: bytes) -> dict[str, Any]:
    """The object under `event`. Numbers too long for an int become a Decimal; of a key that stands twice the last
    counts; lone surrogates stay.

    Raises:
        MalformedBody: it is not UTF-8, not JSON (RFC 8259: no NaN), nested too deeply, or has no such object.
    """
    try:
        envelope = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_int=_whole_number)
    except (ValueError, RecursionError):
        # The library's message quotes the body, so it goes no further.
        raise MalformedBody("the body is not JSON") from None
    event = envelope.get("event") if isinstance(envelope, dict) else None
    if not isinstance(event, dict):
        raise MalformedBody('the body must be an object {"event": {...}}')
    return event


def _no_constant(_: str) -> None:
    raise ValueError


def _whole_number(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # Python refuses more than 4,300 digits (CVE-2020-10735)
        return Decimal(digits)


def _event_id(given: Any, body: bytes) -> str:
    if given is None:
        # Old FusionAuth versions send no id. A byte-equal resend must still be recognised as a duplicate.
        return str(uuid5(NAMESPACE_OID, hashlib.sha256(body).hexdigest()))
    if not isinstance(given, str) or not _UUID.fullmatch(given):
        raise MalformedBody("event.id must be a UUID")
    return given.lower()


def _uuid_or_nothing(value: Any) -> str:
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else ""


def _user_id(event: Mapping[str, Any]) -> str:
    user = event.get("user")
    if isinstance(user, dict) and (user_id := _uuid_or_nothing(user.get("id"))):
        return user_id
    return _uuid_or_nothing(event.get("userId") or event.get("actioneeUserId"))


class Fields(Mapping[str, Any]):
    """A JSON object whose fields read as attributes: `user.firstName` as `user.first_name`, a missing one as None.

    Also a read-only mapping under FusionAuth's own names: `user["firstName"]`.
    """

    __slots__ = ("_fields",)
    _fields: Mapping[str, Any]

    def __init__(self, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_fields", MappingProxyType(dict(fields)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        fields = self._fields
        value = fields[name] if name in fields else fields.get(_camel(name))
        return _frozen(value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"events are immutable: {name} cannot be set")

    def __getitem__(self, name: str) -> Any:
        return _frozen(self._fields[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __dir__(self) -> list[str]:
        return [_CAMEL_HUMP.sub(lambda hump: "_" + hump[1].lower(), name) for name in self._fields]

    def __repr__(self) -> str:
        # Values are personal data, and a repr ends up in tracebacks.
        return f"{type(self).__name__}({', '.join(self._fields)})"


class Event(Fields):
    """An event as a handler gets it: immutable, fields in snake_case, `raw` the body as it came."""

    __slots__ = ("create_instant", "id", "raw", "tenant_id", "type")
    id: UUID
    type: str
    tenant_id: UUID | None
    create_instant: datetime | None
    raw: bytes

    def __init__(self, event_id: str, body: bytes) -> None:
        fields = parse_event(body)
        super().__init__(fields)
        tenant_id = _uuid_or_nothing(fields.get("tenantId"))
        for name, value in (
            ("id", UUID(event_id)),
            ("type", fields["type"]),
            ("tenant_id", UUID(tenant_id) if tenant_id else None),
            ("create_instant", _instant(fields.get("createInstant"))),
            ("raw", body),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Event({self.type} {self.id})"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields(value)
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value


def _instant(milliseconds: Any) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # an instant beyond the year 9999 is still there in raw
