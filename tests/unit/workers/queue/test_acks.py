"""The JSON of an attempt's record."""

import json
from datetime import UTC, datetime

import pytest

from surehook.workers.execution.attempts import AttemptRecord

AT = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("", id="none"),
        pytest.param("OSError: gone", id="words"),
        pytest.param('ValueError: "quoted" \\ \n\t\x00 ümläut \ud800 </script>', id="anything"),
    ],
)
def test_an_attempt_is_json_with_any_error_text(error: str) -> None:
    record = AttemptRecord("myapp_hooks-mirror", 3, AT, 12.3, "timed out", error)

    assert json.loads(record.as_json()) == {
        "handler": "myapp_hooks-mirror",
        "number": 3,
        "at": "2026-01-02T03:04:05.678+00:00",
        "elapsed_ms": 12.3,
        "outcome": "timed out",
        "error": error,
    }
