"""The attempts of an event, as its history keeps them."""

import json
from typing import Any

from surehook.shared.tracebacks import unpacked


def read_attempt(line: str | bytes) -> dict[str, Any]:
    """Reads a line of an event's history: `handler`, `number`, `at`, `elapsed_ms`, `outcome`, `error`, `traceback`."""
    attempt: dict[str, Any] = json.loads(line)
    if "traceback" in attempt:
        attempt["traceback"] = unpacked(attempt["traceback"])
    return attempt
