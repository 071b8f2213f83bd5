"""Checks JSON against FusionAuth's published OpenAPI, if it lies beside the checkout."""

import functools
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

PUBLISHED = Path(__file__).parents[3] / "shared" / "fusionauth" / "openapi.yaml"
needs_openapi = pytest.mark.skipif(not PUBLISHED.exists(), reason="FusionAuth's OpenAPI is not beside the checkout")


@functools.cache
def _document() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with PUBLISHED.open("rb") as file:
        document: dict[str, Any] = yaml.load(file, loader)  # noqa: S506 - a safe loader
    return document


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    """Returns a schema with all it refers to, and no properties beyond those it names."""
    schemas = _document()["components"]["schemas"]
    closed = {key: _closed(value) for key, value in schemas.items()}
    # The document lists Java's constants here; what is sent are the types' names.
    closed["EventType"] = {"type": "string"}
    # Its pattern lost its backslashes.
    closed["ZoneId"] = {"type": "string"}
    # It leaves the events' own fields out of their common class.
    closed["BaseEvent"] = {"type": "object"}
    closed["HTTPHeaders"] = {"type": "object", "additionalProperties": {"type": "string"}}
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}


def _closed(schema: Any) -> Any:
    if isinstance(schema, dict) and schema.get("type") == "object" and schema.get("properties"):
        return {**schema, "additionalProperties": False}
    return schema


def require_shape(value: Any, name: str) -> None:
    """Raises AssertionError with the place that differs."""
    errors = sorted(jsonschema.Draft202012Validator(_schema(name)).iter_errors(value), key=str)
    assert not errors, "\n".join(f"{error.json_path}: {error.message}" for error in errors[:5])
