"""The record of one run of a handler: one line of an event's history."""

import json
from datetime import datetime
from typing import NamedTuple

_encode = json.JSONEncoder().encode
_NO_ERROR = '""'


class AttemptRecord(NamedTuple):
    """One line of an event's history."""

    handler: str
    number: int
    began_at: datetime
    elapsed_ms: float
    outcome: str
    error: str = ""

    def as_json(self) -> str:
        # By hand, as this is written for every run: ids, outcomes and numbers have nothing to escape.
        return (
            f'{{"handler": "{self.handler}", "number": {self.number}, '
            f'"at": "{self.began_at.isoformat(timespec="milliseconds")}", "elapsed_ms": {self.elapsed_ms}, '
            f'"outcome": "{self.outcome}", "error": {_encode(self.error) if self.error else _NO_ERROR}}}'
        )

    def times(self) -> tuple[str, str]:
        """How long it took and when it began, as RQ writes them."""
        began_at = self.began_at.replace(tzinfo=None).isoformat(timespec="microseconds")
        return f"{self.elapsed_ms / 1000:.4f}", f"{began_at}Z"
