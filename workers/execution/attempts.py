"""The record of one run of a handler: one line of an event's history."""

import json
from datetime import datetime
from typing import NamedTuple

from surehook.shared.tracebacks import packed
from surehook.workers.execution.masking.error_text import NO_ERROR, MaskedError
from surehook.workers.execution.runner import RunResult, RunStatus

_encode = json.JSONEncoder().encode
_NO_ERROR = '""'
# Lengths of an instant in ISO 8601, without the time zone.
_MILLISECONDS, _MICROSECONDS = len("2026-01-01T00:00:00.000"), len("2026-01-01T00:00:00.000000")


class AttemptRecord(NamedTuple):
    """One line of an event's history."""

    handler: str
    number: int
    started_at: datetime
    elapsed_ms: float
    outcome: str
    error: str = ""
    traceback: str = ""
    """Masked and packed, of a run that failed."""

    def as_json(self) -> str:
        return self.as_arguments()[0]

    def as_arguments(self) -> tuple[str, str, str]:
        """Its JSON, and its duration and its start in RQ's format."""
        started_at = self.started_at.isoformat(timespec="microseconds")[:_MICROSECONDS]
        # Formatted by hand, as every run writes one: ids, outcomes and numbers need no escaping.
        record = (
            f'{{"handler": "{self.handler}", "number": {self.number}, '
            f'"at": "{started_at[:_MILLISECONDS]}+00:00", "elapsed_ms": {self.elapsed_ms}, '
            f'"outcome": "{self.outcome}", "error": {_encode(self.error) if self.error else _NO_ERROR}'
            f"{self._traceback()}}}"
        )
        return record, f"{self.elapsed_ms / 1000:.4f}", f"{started_at}Z"

    def _traceback(self) -> str:
        return f', "traceback": "{self.traceback}"' if self.traceback else ""


def record_attempt(
    handler: str, number: int, result: RunResult, outcome: str, error: MaskedError = NO_ERROR
) -> AttemptRecord:
    """The record of a run. A handler that has refused, or asked to run later, has not failed: no traceback is kept."""
    has_failed = error.traceback and result.status is not RunStatus.LATER
    elapsed_ms, traceback = round(result.elapsed_seconds * 1000, 1), packed(error.traceback) if has_failed else ""
    return AttemptRecord(handler, number, result.started_at, elapsed_ms, outcome, error.line, traceback)
