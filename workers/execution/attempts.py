"""The record of one run of a handler: one line of an event's history."""

import json
from datetime import datetime
from typing import NamedTuple

from surehook.workers.execution.runner import RunResult

_encode = json.JSONEncoder().encode
_NO_ERROR = '""'


class AttemptRecord(NamedTuple):
    """One line of an event's history."""

    handler: str
    number: int
    started_at: datetime
    elapsed_ms: float
    outcome: str
    error: str = ""

    def as_json(self) -> str:
        # Formatted by hand, as every run writes one: ids, outcomes and numbers need no escaping.
        return (
            f'{{"handler": "{self.handler}", "number": {self.number}, '
            f'"at": "{self.started_at.isoformat(timespec="milliseconds")}", "elapsed_ms": {self.elapsed_ms}, '
            f'"outcome": "{self.outcome}", "error": {_encode(self.error) if self.error else _NO_ERROR}}}'
        )

    def times(self) -> tuple[str, str]:
        """Its duration and its start, in RQ's format."""
        started_at = self.started_at.replace(tzinfo=None).isoformat(timespec="microseconds")
        return f"{self.elapsed_ms / 1000:.4f}", f"{started_at}Z"


def record_attempt(handler: str, number: int, result: RunResult, outcome: str, error: str = "") -> AttemptRecord:
    """The record of a run. `error` is one line, already masked."""
    return AttemptRecord(handler, number, result.started_at, round(result.elapsed_seconds * 1000, 1), outcome, error)
