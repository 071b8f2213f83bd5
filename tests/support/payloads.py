"""Bodies of every type: our samples, and FusionAuth's published examples if they lie beside the checkout."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from surehook.fusionauth.samples import sample
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.models.fields import Fields
from surehook.shared.models.model import Model

PUBLISHED = Path(__file__).parents[3] / "shared" / "fusionauth" / "examples"
EVENT_ID = "3f0c9a1b-0000-4000-8000-000000000000"
_NOW = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)

SAMPLES = {name: json.dumps(sample(name, now=_NOW, event_id=UUID(EVENT_ID))).encode() for name in EVENT_TYPES}
EXAMPLES = {path.stem: path.read_bytes() for path in sorted(PUBLISHED.glob("*.json"))}

each_payload = pytest.mark.parametrize(
    "body",
    [pytest.param(body, id=f"sample {name}") for name, body in SAMPLES.items()]
    + [pytest.param(body, id=f"published {name}") for name, body in EXAMPLES.items()],
)


def thawed(value: Any) -> Any:
    """Returns a value that a handler sees as FusionAuth wrote it."""
    if isinstance(value, Model):
        return {name: thawed(value[name]) for name in (*value.keys(),)}
    if isinstance(value, Fields | Mapping):
        return {str(name): thawed(value[name]) for name in value}
    if isinstance(value, tuple):
        return [thawed(item) for item in value]
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return str(value) if isinstance(value, UUID | date) else value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value in a JSON object or a model, with its path in FusionAuth's names."""
    if isinstance(value, Model):
        value = {name: value[name] for name in (*value.keys(),)}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value
