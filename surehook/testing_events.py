"""Builds any event as FusionAuth sends it, for tests of handlers."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar, overload
from uuid import UUID, uuid4

from surehook.fusionauth.changes import models_in, nearest
from surehook.fusionauth.samples import sample
from surehook.shared.event_types import EVENT_TYPES, closest
from surehook.shared.models import MODELS, Event, event_from
from surehook.shared.models.fields import camel
from surehook.shared.models.model import Model

E = TypeVar("E", bound=Event)

NEARLY = 0.85  # a letter or two
# The keys inside these fields are the user's own and stay as they are.
_FREE_FORM = frozenset({"data", "tokens", "newValue", "oldValue"})


@overload
def an_event(of: type[E], /, **fields: Any) -> E: ...
@overload
def an_event(of: str, /, **fields: Any) -> Event: ...
def an_event(of: type[Event] | str, /, **fields: Any) -> Event:
    """Builds an event as FusionAuth sends it, with its own id and the given changes.

    `an_event(UserDelete, user={"id": some_id, "email": None})`: given values replace those of the sample, a dict
    field by field; None leaves a field out. Names may be FusionAuth's or in snake_case.

    Raises:
        ValueError: a field or the type is misspelt, or the fields do not fit the given class. Given the type's name
            instead, the function returns the plain `Event` that a handler would get.
    """
    event_type = _known_or_new(of) if isinstance(of, str) else _type_of(of)
    _require_spelling(MODELS.get(event_type, Event), fields, "")
    changes = _plain(fields)
    event_id = changes.setdefault("id", str(uuid4()))
    base = _sample(event_type)
    body = json.dumps({"event": _merged(base, changes)}).encode()
    event = event_from(event_id, body)
    if isinstance(of, type) and not isinstance(event, of):
        where = ", ".join(event.misfits)
        raise ValueError(f"{where} has no valid value for a {of.__name__}")  # noqa: TRY004 - not the type, the value is wrong
    return event


def _type_of(model: type[Event]) -> str:
    for event_type, known in MODELS.items():
        if known is model:
            return event_type
    raise ValueError(f"{model.__name__} has no single type: name the type, as in an_event('user.delete')")


def _known_or_new(event_type: str) -> str:
    """A type that Surehook does not know may be newer than it, unless it is called nearly like another."""
    if event_type not in EVENT_TYPES and (near := closest(event_type, NEARLY)):
        raise ValueError(f"there is no event type {event_type}: did you mean {' or '.join(near)}?")
    return event_type


def _sample(event_type: str) -> dict[str, Any]:
    if event_type in EVENT_TYPES:
        event: dict[str, Any] = sample(event_type, now=datetime.now(UTC), event_id=uuid4())["event"]
        return event
    return {"type": event_type, "createInstant": int(time.time() * 1000)}


class _Replacement(dict[str, Any]):
    """An object of another event; it replaces the sample's as a whole."""


def _plain(value: Any, *, renames: bool = True) -> Any:
    """Converts a value to JSON with FusionAuth's names."""
    if isinstance(value, Model):
        return _Replacement(_plain({name: value[name] for name in (*value.keys(),)}, renames=False))
    if isinstance(value, Mapping):
        names = {name: camel(name) if renames and isinstance(name, str) else str(name) for name in value}
        return {
            names[name]: _plain(inner, renames=renames and names[name] not in _FREE_FORM)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, renames=renames) for item in value]
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    return str(value) if isinstance(value, UUID | date) else value


def _merged(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict) or isinstance(change, _Replacement):
        return change
    merged = base | {name: _merged(base.get(name), value) for name, value in change.items()}
    return {name: value for name, value in merged.items() if value is not None}


def _require_spelling(model: type[Model], fields: Mapping[str, Any], path: str) -> None:
    """A field that the class does not know may be newer than it, unless it is called nearly like another."""
    for name, value in fields.items():
        attribute = name if name in model.model_fields else model.attribute_of(name)
        if attribute is None:
            if near := nearest(model, name):
                raise ValueError(f"{model.__name__} has no field {path}{name}: did you mean {near}?")
            continue
        for inner_model in models_in(model.model_fields[attribute].annotation):
            for inner in value if isinstance(value, list | tuple) else (value,):
                if isinstance(inner, dict):
                    _require_spelling(inner_model, inner, f"{path}{name}.")
