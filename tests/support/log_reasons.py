"""The reasons that log records give."""

import pytest


def reasons(caplog: pytest.LogCaptureFixture) -> str:
    """A line for each record."""
    return "\n".join(getattr(record, "reason", "") for record in caplog.records)
