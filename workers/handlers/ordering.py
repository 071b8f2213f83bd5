"""The options `ordered_by`, `on_dead`, `latest_only` and `changed` of `@on`: checks them, and applies them to events.

How the order is kept in the store is explained in docs/ordering.md.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, Literal, get_args
from uuid import UUID

from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES, matches_pattern
from surehook.shared.models import MODELS, Event
from surehook.shared.models.fields import Fields
from surehook.shared.models.model import Model

KeyName = Literal["user", "tenant", "linked_object"]
KeyFunction = Callable[[Any], object]
OnDead = Literal["hold", "skip"]

KEY_NAMES: tuple[str, ...] = get_args(KeyName)
HOLD, SKIP = get_args(OnDead)
HASH_LENGTH = 32
# The outcomes of an event for which a handler does not run.
UNCHANGED, OUTDATED, DEFERRED = "unchanged", "outdated", "deferred"
_USER_FIELDS = frozenset({"user", "userId", "user_id", "actionee_user_id"})
# The objects of an event that have a `last_update_instant`, the one that the event is about first.
_SUBJECTS = ("registration", "user", "group", "entity")


@dataclass(frozen=True, slots=True)
class Order:
    """Runs a handler for one event of a key at a time, in the order of acceptance."""

    by: str | KeyFunction
    on_dead: str = HOLD
    latest_only: bool = False

    def key_of(self, event: Event) -> str:
        """The event's key; "" if it has none, and runs in no order.

        Raises:
            TypeError: the function returned something else than text, a number, a UUID or None. Its own exceptions
                propagate, too.
        """
        if callable(self.by):
            return _text(self.by(event))
        if self.by == "linked_object":
            return _text(event.linked_object_id)
        envelope = parse_envelope(event.raw)
        return envelope.user_id if self.by == "user" else envelope.tenant_id

    def place_of(self, event: Event) -> str:
        """The event's place in a line, in the format of the scripts; "" if it has no key."""
        key = self.key_of(event)
        if not key:
            return ""
        place = f"{self.on_dead}:{_hashed(key)}"
        subject = subject_of(event) if self.latest_only else None
        changed_at = _milliseconds(getattr(subject, "last_update_instant", None))
        subject_id = getattr(subject, "id", None)
        if changed_at is None or subject_id is None:
            return place
        return f"{place}:{_hashed(str(subject_id))}:{changed_at}"


def has_changed(event: Event, fields: tuple[str, ...]) -> bool:
    """Says whether one of the fields differs from `original`; true if FusionAuth did not send the original."""
    original, subject = getattr(event, "original", None), subject_of(event)
    if original is None or subject is None:
        return True
    return any(_read(subject, field) != _read(original, field) for field in fields)


def subject_of(event: Event) -> Any:
    """The object that the event is about: a registration, a user, a group or an entity."""
    name = _subject_name(event.type)
    return getattr(event, name, None) if name else None


def _subject_name(event_type: str) -> str:
    if event_type.startswith("group.member."):
        return ""  # about memberships: the group itself has not changed
    for name in _SUBJECTS:
        if event_type.startswith("user.registration.") if name == "registration" else event_type.startswith(f"{name}."):
            return name
    return "user"


def order_of(by: Any, on_dead: Any, latest_only: Any, types: tuple[str, ...], location: str) -> Order | None:
    """Checks the options. None: the handler's events run in no order.

    Raises:
        Misconfigured: an option is wrong, or does nothing without another one.
    """
    if on_dead not in (HOLD, SKIP):
        raise Misconfigured(f'{location}: on_dead must be "hold" or "skip", not {on_dead!r}')
    if by is None:
        if latest_only:
            raise Misconfigured(
                f'{location}: latest_only=True needs ordered_by, as in ordered_by="user": two events that ran at the '
                "same time could not be compared"
            )
        if on_dead != HOLD:
            raise Misconfigured(f"{location}: on_dead={on_dead!r} does nothing without ordered_by")
        return None
    _check_key(by, types, location)
    if latest_only:
        for event_type in types:
            _require_instant(event_type, location)
    return Order(by, on_dead, latest_only=bool(latest_only))


def changed_fields(changed: Any, types: tuple[str, ...], location: str) -> tuple[str, ...]:
    """Checks the fields of `changed` against the classes of the handler's types.

    Raises:
        Misconfigured: no such field, with the nearest name; or events of a type have no `original`.
    """
    if isinstance(changed, str):
        raise Misconfigured(f'{location}: changed takes a tuple of fields, as in changed=("{changed}",)')
    fields = tuple(changed)
    if not fields:
        return ()
    models = list(_models(types))
    if not models:
        raise Misconfigured(f"{location}: changed is for types that Surehook knows, not {', '.join(types)}")
    for model in models:
        subject = _original_of(model, location)
        for field in fields:
            _require_field(subject, field, location)
    return fields


def _check_key(by: Any, types: tuple[str, ...], location: str) -> None:
    if callable(by):
        if inspect.iscoroutinefunction(by):
            raise Misconfigured(f"{location}: ordered_by takes a plain function, not an async one")
        return
    if by not in KEY_NAMES:
        names = ", ".join(f'"{name}"' for name in KEY_NAMES)
        near = get_close_matches(str(by), KEY_NAMES, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        raise Misconfigured(
            f"{location}: ordered_by takes {names} or a function of the event, not {by!r}. {hint}".strip()
        )
    names_key = {"user": _names_user, "tenant": _names_tenant}.get(by)
    for event_type in types:
        known = [name for name in EVENT_TYPES if matches_pattern(event_type, name)]
        if names_key is not None and known and not any(names_key(name) for name in known):
            raise Misconfigured(
                f'{location}: an event of {event_type} names no {by}, so ordered_by="{by}" orders nothing: take '
                "another key, or a function of the event"
            )


def _names_user(event_type: str) -> bool:
    return not _USER_FIELDS.isdisjoint(MODELS[event_type].model_fields)


def _names_tenant(event_type: str) -> bool:
    return EVENT_TYPES[event_type].can_name_tenant


def _models(types: tuple[str, ...]) -> Iterator[type[Event]]:
    for event_type in types:
        for name in EVENT_TYPES:
            if matches_pattern(event_type, name):
                yield MODELS[name]


def _type_name(model: type[Event]) -> str:
    return next(name for name, each in MODELS.items() if each is model)


def _subject_class(model: type[Event]) -> type[Model] | None:
    field = model.model_fields.get(_subject_name(_type_name(model)))
    return _class_in(field.annotation) if field is not None else None


def _class_in(annotation: Any) -> type[Model] | None:
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Model):
            return each
    return None


def _require_instant(event_type: str, location: str) -> None:
    """Requires an instant of one type of a pattern: events of the others are never skipped."""
    subjects = [_subject_class(model) for model in _models((event_type,))]
    if subjects and not any(each is not None and "last_update_instant" in each.model_fields for each in subjects):
        raise Misconfigured(
            f"{location}: latest_only compares last_update_instant, which events of {event_type} do not have: give "
            "them a handler without latest_only"
        )


def _original_of(model: type[Event], location: str) -> type[Model]:
    field = model.model_fields.get("original")
    original = _class_in(field.annotation) if field is not None else None
    if original is None or original is not _subject_class(model):
        raise Misconfigured(
            f"{location}: changed compares with event.original, which events of {_type_name(model)} do not have: give "
            "that type a handler without changed"
        )
    return original


def _require_field(subject: type[Model], field: Any, location: str) -> None:
    first, _, rest = str(field).partition(".")
    known = subject.model_fields.get(first)
    if known is not None and (not rest or Fields in (known.annotation, *get_args(known.annotation))):
        return
    near = get_close_matches(first, subject.model_fields, n=1, cutoff=0.5)
    hint = f": did you mean {near[0]!r}?" if near and near[0] != first else ""
    if known is not None:
        hint = f": compare {first!r} as a whole"
    raise Misconfigured(f"{location}: changed names {field!r}, which a {subject.__name__} does not have{hint}")


def _read(subject: Any, field: str) -> Any:
    value = subject
    for name in field.split("."):
        value = getattr(value, name, None)
    return value


def _text(key: object) -> str:
    if key is None:
        return ""
    if isinstance(key, bool) or not isinstance(key, str | int | UUID):
        raise TypeError(f"ordered_by gave a {type(key).__name__}: it must give text, a whole number, a UUID or None")
    return str(key)


def _hashed(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LENGTH]


def _milliseconds(instant: Any) -> int | None:
    if isinstance(instant, datetime):
        return max(0, round(instant.timestamp() * 1000))
    if isinstance(instant, int) and not isinstance(instant, bool):  # a plain event's
        return max(0, instant)
    return None
