"""The result of a run that took too long."""

from datetime import UTC, datetime

import pytest

from surehook.workers.execution.runner import result_of


@pytest.mark.parametrize(
    ("timeout", "shown"),
    [(1.493731, "1.49 s"), (30.0, "30 s"), (0.25, "0.25 s"), (0.0031, "0.0031 s"), (86_400.0, "86400 s")],
)
def test_a_timeout_is_named_in_hundredths(timeout: float, shown: str) -> None:
    """The rest of a transaction's time is no round number."""
    result = result_of(None, datetime.now(UTC), timeout * 2, timeout)

    assert str(result.error) == f"ran longer than {shown}"
