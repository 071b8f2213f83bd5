"""Events to send in tests."""

import json
from typing import Any
from uuid import uuid4

USER_ID = "8f2d6a4e-1111-4c3b-9a55-0c7d5d1e2f30"
TENANT_ID = "5b0a7b52-2222-4d0f-8f43-6d1c2b3a4f50"


def an_event(event_type: str = "user.delete", **fields: Any) -> dict[str, Any]:
    """An event with an id of its own; a field given as None is left out."""
    event = {
        "id": str(uuid4()),
        "type": event_type,
        "createInstant": 1_700_000_000_000,
        "tenantId": TENANT_ID,
        "user": {"id": USER_ID, "email": "mara.lindqvist@example.com"},
        **fields,
    }
    return {name: value for name, value in event.items() if value is not None}


def a_body(event: dict[str, Any] | None = None) -> bytes:
    return json.dumps({"event": event or an_event()}).encode()
