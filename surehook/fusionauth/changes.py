"""Changes to an event's fields, as `surehook trigger --set user.email=ada@example.com` writes them."""

import json
import typing
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from surehook.shared.errors import Misconfigured
from surehook.shared.models import MODELS, Event
from surehook.shared.models.fields import camel
from surehook.shared.models.id_map import IdMap
from surehook.shared.models.model import Model

# How alike two names must be for one to be a misspelling of the other.
ALIKE = 0.75
_TEXTS = (str, UUID, date)


def changed(event: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The event with each `path=value` applied. A value is JSON where that fits the field, else text; null removes it.

    Raises:
        Misconfigured: a change is no `path=value`, leads into no object, or names a misspelt field.
    """
    event = json.loads(json.dumps(event))
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals or not all(path.split(".")):
            raise Misconfigured(f"--set takes a field and its value, as in user.email=ada@example.com, not {change!r}")
        _set(event, MODELS.get(str(event.get("type")), Event), path, value)
    return event


def _set(event: dict[str, Any], model: "type[Model] | None", path: str, value: str) -> None:
    place: Any = event
    *parents, last = path.split(".")
    for parent in parents:
        name, annotation = _resolved(model, parent, path)
        place = _inside(place, name, path)
        model = next(models_in(annotation), None)
    name, annotation = _resolved(model, last, path)
    read = _read(value, annotation)
    if isinstance(place, list):
        place[_index(place, name, path)] = read
    elif read is None:
        place.pop(name, None)
    else:
        place[name] = read


def _inside(place: Any, name: str, path: str) -> Any:
    found = place[_index(place, name, path)] if isinstance(place, list) else place.setdefault(name, {})
    if not isinstance(found, dict | list):
        raise Misconfigured(f"--set {path}: {name} is no object, so it has no fields")
    return found


def _index(place: list[Any], name: str, path: str) -> int:
    if not name.isdecimal() or int(name) >= len(place):
        raise Misconfigured(f"--set {path}: write the position in the list, 0 to {len(place) - 1}, instead of {name}")
    return int(name)


def _resolved(model: "type[Model] | None", name: str, path: str) -> tuple[str, Any]:
    """FusionAuth's name of a field, and its type; both as given where no class knows it."""
    if model is None or name.isdecimal():
        return name, model if name.isdecimal() else None
    if name in model.model_fields:
        field = model.model_fields[name]
        return field.alias or camel(name), field.annotation
    attribute = model.attribute_of(name)
    if attribute is not None:
        return name, model.model_fields[attribute].annotation
    if near := nearest(model, name):
        raise Misconfigured(f"--set {path}: {model.__name__} has no field {name}: did you mean {near}?")
    return name, None


def _read(value: str, annotation: Any) -> Any:
    if value != "null" and _is_text(annotation):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _is_text(annotation: Any) -> bool:
    """Says if a field holds text: its value may look like a number."""
    kinds = [annotation, *typing.get_args(annotation)]
    return any(isinstance(kind, type) and issubclass(kind, _TEXTS) for kind in map(_bare, kinds))


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def models_in(annotation: Any) -> Iterator[type[Model]]:
    """The classes of objects that a field can hold."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    elif typing.get_origin(annotation) is not IdMap:
        for each in typing.get_args(annotation):
            yield from models_in(each)


def nearest(model: type[Model], name: str) -> str | None:
    """The field that a misspelt name may mean."""
    near = get_close_matches(name, [*model.model_fields, *model.names()], 1, ALIKE)
    return near[0] if near else None
