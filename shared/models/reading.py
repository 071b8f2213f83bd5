"""Builds the event that a handler is given from a body."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile
from types import MappingProxyType, ModuleType
from typing import Any, get_args
from uuid import UUID

from pydantic import ValidationError

from surehook.shared.envelope import parse_event, uuid_or_nothing
from surehook.shared.errors import MalformedBody
from surehook.shared.models import account_events, login_events, other_events
from surehook.shared.models.event import Event
from surehook.shared.models.fields import snake
from surehook.shared.models.model import Model

UNREADABLE = "event"


def _models(*modules: ModuleType) -> Iterator[tuple[str, type[Event]]]:
    for model in (each for module in modules for each in vars(module).values()):
        if isinstance(model, type) and issubclass(model, Event):
            for event_type in get_args(model.model_fields["type"].annotation):
                yield event_type, model


MODELS: Mapping[str, type[Event]] = MappingProxyType(dict(_models(account_events, login_events, other_events)))
"""The class of each type."""


def event_from(event_id: str, body: bytes) -> Event:
    """Returns the event in a body: of its type's class, or a plain `Event` if the body does not fit it.

    Raises:
        MalformedBody: the endpoint would refuse the body.
    """
    fields = parse_deep_event(body)
    event_type = fields.get("type")
    if not isinstance(event_type, str):
        raise MalformedBody("event.type must be an event type such as user.create")
    # The endpoint has read these already, and an odd value in them must not change the event's class.
    fields["id"] = event_id
    if "tenantId" in fields:
        fields["tenantId"] = uuid_or_nothing(fields["tenantId"]) or None
    if "createInstant" in fields:
        fields["createInstant"] = _instant(fields["createInstant"])
    misfits: tuple[str, ...] = ()
    for model in (MODELS.get(event_type, Event), Event):
        try:
            return _with(model.model_validate(fields), body, misfits)
        except ValidationError as exc:
            misfits = misfits or _places(exc)
        except RecursionError:
            misfits = misfits or (UNREADABLE,)
    return _with(_as_it_came(fields), body, misfits)


def parse_deep_event(body: bytes) -> dict[str, Any]:
    """Parses a body as the endpoint does, at any depth of the caller's stack.

    Python's limit of nesting counts the caller's frames: a body that the endpoint could parse may be too deep for a
    worker. A new thread has an empty stack.
    """
    try:
        return parse_event(body)
    except MalformedBody:
        with ThreadPoolExecutor(max_workers=1) as bottom:
            return bottom.submit(parse_event, body).result()


def _with(event: Event, body: bytes, misfits: tuple[str, ...]) -> Event:
    object.__setattr__(event, "_raw", body)
    object.__setattr__(event, "_misfits", misfits)
    return event


def _as_it_came(fields: dict[str, Any]) -> Event:
    """Builds a plain event without validating its fields."""
    tenant_id = fields.get("tenantId")
    ours = {
        "id": UUID(fields["id"]),
        "type": fields["type"],
        "tenant_id": UUID(tenant_id) if tenant_id else None,
        "create_instant": fields.get("createInstant"),
    }
    event = Event.__new__(Event)
    object.__setattr__(event, "__dict__", ours)
    object.__setattr__(event, "__pydantic_fields_set__", set(ours))
    object.__setattr__(event, "__pydantic_extra__", {name: fields[name] for name in fields if snake(name) not in ours})
    object.__setattr__(event, "__pydantic_private__", None)
    return event


def _places(exc: ValidationError) -> tuple[str, ...]:
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return tuple(dict.fromkeys(_place(error["loc"]) for error in errors))


def _place(path: tuple[int | str, ...]) -> str:
    """Names known fields only: other parts of the path may be a user's own keys."""
    return ".".join(str(part) for part in takewhile(Model.is_known, path)) or UNREADABLE


def _instant(milliseconds: Any) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float | Decimal):
        return None
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # an instant beyond the year 9999 is only in raw, like anything that is no number
