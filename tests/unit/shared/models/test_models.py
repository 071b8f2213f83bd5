"""The models declare every field that FusionAuth sends."""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from pydantic.fields import FieldInfo

from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models import MODELS, Event, event_from
from surehook.shared.models.fields import camel, snake
from surehook.shared.models.model import Model
from tests.support.payloads import EVENT_ID, PUBLISHED, each_payload, leaves, thawed

LIST = Path(PUBLISHED).parent / "catalog.json"
OPENAPI = LIST.parent / "openapi.yaml"
# Ours by another name there, and bases that are only ours.
RENAMED = {"RefreshTokenMetaData": "MetaData"}
LOOKS_LIKE_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Fields of any shape, and two that are not always the UUID that they look like.
FREE = re.compile(r"\.(data|newValue|oldValue|lambdaResult)\b|\.entity\.clientId$|\.original\.clientId$")


def unknown_fields(value: Any, path: str) -> Iterator[str]:
    """Lists the places where a model kept a field that it does not declare."""
    if isinstance(value, Model):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in (*value.keys(),):
            yield from unknown_fields(value[name], f"{path}.{name}")
    elif isinstance(value, tuple):
        for item in value:
            yield from unknown_fields(item, f"{path}[]")


@each_payload
def test_a_payload_becomes_its_types_class_and_no_field_is_unknown(body: bytes) -> None:
    event = event_from(EVENT_ID, body)

    assert type(event) is MODELS[json.loads(body)["event"]["type"]]
    assert event.misfits == ()
    assert list(unknown_fields(event, "")) == []


@each_payload
def test_a_payload_can_be_read_back_whole(body: bytes) -> None:
    event = event_from(EVENT_ID, body)
    sent = json.loads(body)["event"]

    assert event.raw == body
    assert thawed(event) == {**sent, "id": EVENT_ID}


@each_payload
def test_ids_are_uuids_and_instants_are_aware(body: bytes) -> None:
    for path, value in leaves(event_from(EVENT_ID, body)):
        if FREE.search(path):
            continue
        assert not (isinstance(value, str) and LOOKS_LIKE_UUID.fullmatch(value)), path
        if path.endswith(("Instant", ".expiry")) and value is not None:
            assert isinstance(value, datetime), path
            assert value.utcoffset() == timedelta(0)
        if path.endswith("birthDate"):
            assert isinstance(value, date), path


@each_payload
def test_every_field_reads_in_snake_case(body: bytes) -> None:
    def check(model: Any) -> None:
        for name in (*model.keys(),):
            assert getattr(model, "from_" if name == "from" else snake(name)) == model[name]
            for inner in model[name] if isinstance(model[name], tuple) else (model[name],):
                if isinstance(inner, Model):
                    check(inner)

    check(event_from(EVENT_ID, body))


def test_every_type_has_a_class_with_the_fields_of_the_catalogue() -> None:
    def names(fields: dict[str, FieldInfo]) -> set[str]:
        return {field.alias or name for name, field in fields.items()}

    common = names(Event.model_fields)

    assert set(MODELS) == set(EVENT_TYPES)
    assert len(set(MODELS.values())) == 64
    for name, model in MODELS.items():
        assert names(model.model_fields) - common == set(EVENT_TYPES[name].fields), name


@pytest.mark.skipif(not LIST.exists(), reason="FusionAuth's own list is not there")
def test_classes_have_fusionauths_names() -> None:
    theirs = {row["type"]: row["class"].removesuffix("Event") for row in json.loads(LIST.read_text())}

    assert {name: model.__name__ for name, model in MODELS.items()} == theirs


def models() -> list[type[Model]]:
    found: list[type[Model]] = []
    waiting = [Model]
    while waiting:
        found += (more := waiting.pop().__subclasses__())
        waiting += more
    return found


@pytest.mark.skipif(not OPENAPI.exists(), reason="FusionAuth's own classes are not there")
def test_a_class_has_every_field_of_fusionauths_class() -> None:
    theirs = yaml.load(OPENAPI.read_text(), Loader=yaml.CSafeLoader)["components"]["schemas"]
    schema_of: dict[type[Model], str] = {model: f"{model.__name__}Event" for model in MODELS.values()}
    compared, lacking = set(), []
    for model in models():
        name = schema_of.get(model) or RENAMED.get(model.__name__, model.__name__)
        if name in theirs:
            compared.add(model.__name__)
            known = {field.alias or name for name, field in model.model_fields.items()}
            lacking += [
                f"{model.__name__}.{field}" for field in theirs[name].get("properties", {}) if field not in known
            ]

    assert lacking == []
    # FusionAuth publishes no classes of the events of entities, nor our bases.
    assert {each.__name__ for each in models() if each.__module__.endswith((".people", ".things"))} <= compared
    assert len(compared) > 80


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_any_field_may_be_missing_and_names_go_both_ways(model: type[Model]) -> None:
    for name, field in model.model_fields.items():
        assert name in {"id", "type"} or field.default is None
        assert field.alias == ("from" if name == "from_" else camel(name))
        assert name == "from_" or snake(field.alias or "") == name


def test_ids_are_normalised_from_every_spelling_of_a_uuid() -> None:
    upper = EVENT_ID.upper()
    body = json.dumps({"event": {"type": "test", "id": upper, "tenantId": upper}}).encode()

    event = event_from(EVENT_ID, body)

    assert event.id == event.tenant_id == UUID(EVENT_ID)
