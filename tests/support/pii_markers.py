"""Every payload there is, with a mark in every string that somebody else wrote."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from surehook.fusionauth.samples import sample
from surehook.shared.event_types import EVENT_TYPES

MARK = "Zyxwvut"
MARKED_USER_ID = "c0ffee00-5eed-4bad-8bad-decafbad0001"
# What FusionAuth prints in its documentation, where a copy of it lies beside the repository.
PUBLISHED = Path(__file__).parents[3] / "shared" / "fusionauth" / "examples"
# These name the event, and stand in logs and job descriptions on purpose.
PLAIN_FIELDS = ("id", "type", "tenantId", "applicationId")


def marked_events() -> list[dict[str, Any]]:
    """The samples of all types, and the published examples if they are there; each with an id of its own."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    samples = [sample(name, now=now, event_id=uuid4())["event"] for name in EVENT_TYPES]
    published = [json.loads(path.read_text("utf-8")) for path in sorted(PUBLISHED.glob("*.json"))]
    examples = [body["event"] for body in published if isinstance(body.get("event"), dict)]
    return [marked(event) for event in (*samples, *examples)]


def marked(event: dict[str, Any]) -> dict[str, Any]:
    """Marks carry what is spelled differently in JSON, in a repr and in a URL, and so differ from word to word."""
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
