"""Payloads that other versions of FusionAuth may send still become events."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from surehook.shared.models import MODELS, Event, event_from
from tests.support.payloads import EVENT_ID, EXAMPLES, SAMPLES, thawed

T = TypeVar("T")
Change = Callable[[dict[str, Any]], None]

MANY = examples(max_examples=150, deadline=None)
# The endpoint relies on these fields, and refuses bodies where they are wrong.
OURS = {"id", "type", "tenantId", "createInstant"}
PAYLOADS = st.sampled_from([*SAMPLES.values(), *EXAMPLES.values()])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# No field has such a name, in FusionAuth or here.
NEW_NAMES = st.text(st.characters(codec="utf-8"), max_size=8).map(lambda name: f"new{name}")


# Below these, keys are the customer's, or ids.
MAPS = {"data", "newValue", "oldValue", "roles", "tokens", "applicationTimeToLiveInSeconds"}


def objects(value: Any) -> list[dict[str, Any]]:
    """Returns every object inside that has fields."""
    found = [value] if isinstance(value, dict) else []
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list) and name not in MAPS:
            found += objects(inner)
    return found


def shuffled(value: T, data: st.DataObject) -> T:
    if isinstance(value, dict):
        items = data.draw(st.permutations(list(value.items())))
        return {name: shuffled(inner, data) for name, inner in items}  # type: ignore[return-value]
    if isinstance(value, list):
        return [shuffled(inner, data) for inner in value]  # type: ignore[return-value]
    return value


def sent(event: dict[str, Any]) -> tuple[bytes, Event]:
    body = json.dumps({"event": event}, indent=1).encode() + b"\n"
    became = event_from(EVENT_ID, body)
    assert became.raw == body
    assert type(became) in (MODELS[event["type"]], Event)
    assert (type(became) is Event) == bool(became.misfits)
    return body, became


def assert_typed(event: dict[str, Any]) -> None:
    _, became = sent(event)
    assert type(became) is MODELS[event["type"]], became.misfits
    assert thawed(became) == {**event, "id": EVENT_ID}


@MANY
@given(PAYLOADS, st.data())
def test_a_shuffled_payload_is_the_same_event(body: bytes, data: st.DataObject) -> None:
    assert_typed(shuffled(json.loads(body)["event"], data))


@MANY
@given(PAYLOADS, st.data())
def test_a_thinned_payload_is_still_its_types_class(body: bytes, data: st.DataObject) -> None:
    event = json.loads(body)["event"]
    for _ in range(data.draw(st.integers(1, 8))):
        thing = data.draw(st.sampled_from(objects(event)))
        if names := sorted(thing.keys() - {"type"}):
            del thing[data.draw(st.sampled_from(names))]

    assert_typed(event)


@MANY
@given(PAYLOADS, st.data())
def test_an_extended_payload_is_still_its_types_class_and_keeps_new_fields(body: bytes, data: st.DataObject) -> None:
    event = json.loads(body)["event"]
    for _ in range(data.draw(st.integers(1, 4))):
        data.draw(st.sampled_from(objects(event)))[data.draw(NEW_NAMES)] = data.draw(JSON)

    _, became = sent(event)
    # Only the plain event accepts a lone surrogate as a key.
    assert type(became) is MODELS[event["type"]] or "\\ud" in json.dumps(event)
    assert type(became) is Event or thawed(became) == {**event, "id": EVENT_ID}


@MANY
@given(PAYLOADS, st.data())
def test_a_payload_with_wrong_types_anywhere_is_still_an_event(body: bytes, data: st.DataObject) -> None:
    event = json.loads(body)["event"]
    for _ in range(data.draw(st.integers(1, 3))):
        thing = data.draw(st.sampled_from(objects(event)))
        names = sorted(thing.keys() - (OURS if thing is event else set()))
        if names:
            thing[data.draw(st.sampled_from(names))] = data.draw(JSON)

    _, became = sent(event)
    if type(became) is Event:
        for name in event.keys() - OURS - {"info", "linkedObjectId"}:
            assert thawed(became[name]) == event[name]


@MANY
@given(st.dictionaries(st.text(), JSON, max_size=6), st.sampled_from(sorted(MODELS)))
def test_any_object_with_a_type_is_an_event(fields: dict[str, Any], event_type: str) -> None:
    event = {name: value for name, value in fields.items() if name not in OURS} | {"type": event_type}

    sent(event)
