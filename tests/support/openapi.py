"""Checks JSON against FusionAuth's published OpenAPI, if it lies beside the checkout."""

import functools
import re
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


def schemas_of(method: str, path: str) -> tuple[str | None, str | None] | None:
    """Returns the names of the schemas of an operation's request and response; None if it is not published."""
    paths = {re.sub(r"{\w+}", "{}", name): value for name, value in _document()["paths"].items()}
    operation = paths.get(re.sub(r"{\w+}", "{}", path), {}).get(method.lower())
    if operation is None:
        return None
    return _schema_name(operation.get("requestBody") or {}), _schema_name(operation["responses"]["200"])


def _schema_name(part: dict[str, Any]) -> str | None:
    schema = (part.get("content") or {}).get("application/json", {}).get("schema")
    return None if schema is None else str(schema["$ref"]).rpartition("/")[2]


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
