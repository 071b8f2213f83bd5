"""Every known payload, with a marker in every string that may be personal."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from surehook.fusionauth.samples import sample
from surehook.shared.event_types import EVENT_TYPES

MARK = "Zyxwvut"
MARKED_USER_ID = "c0ffee00-5eed-4bad-8bad-decafbad0001"
# FusionAuth's published examples, if a copy of its documentation lies beside the repository.
PUBLISHED = Path(__file__).parents[3] / "shared" / "fusionauth" / "examples"
# These identify the event and are logged on purpose.
PLAIN_FIELDS = ("id", "type", "tenantId", "applicationId")


def marked_events() -> list[dict[str, Any]]:
    """Returns the samples of all types and the published examples, if there are any, each with its own id."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    samples = [sample(name, now=now, event_id=uuid4())["event"] for name in EVENT_TYPES]
    published = [json.loads(path.read_text("utf-8")) for path in sorted(PUBLISHED.glob("*.json"))]
    examples = [body["event"] for body in published if isinstance(body.get("event"), dict)]
    return [marked(event) for event in (*samples, *examples)]


def marked(event: dict[str, Any]) -> dict[str, Any]:
    """Marks an event's strings. Markers have characters that JSON, a repr and a URL escape, each in its own way."""
    result = {name: value if name in PLAIN_FIELDS else _mark(value, name) for name, value in event.items()}
    result["id"] = str(uuid4())
    result.setdefault("token", f"{MARK}.token")
    if isinstance(result.get("user"), dict):
        result["user"]["id"] = MARKED_USER_ID
    return result


def _mark(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {inner: _mark(field, inner) for inner, field in value.items()}
    if isinstance(value, list):
        return [_mark(item, name) for item in value]
    if isinstance(value, str):
        return f'{MARK}\'s "{name}" é/ü\n{MARK}: {value}'
    return value
