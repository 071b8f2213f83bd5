"""The announcement of handlers: what a supervisor decides with, it knows as the worker processes do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from surehook import Event, on
from surehook.workers.announcement import announce, read_announcement
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.registry import Registry


class Odd(list[float]):
    """A user's own sequence, whose module the supervisor cannot import."""


def fails(retry: int) -> float:
    raise OSError(retry)


def plain(_: float, __: float) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (None, [5, 20, 80, None]),
        ([0], [0, 0, 0, None]),
        (Odd((1, 2)), [1, 2, 2, None]),
        (lambda retry: retry * 10, [10, 20, 30, None]),
        (fails, [5, 20, 80, None]),
    ],
)
def test_a_supervisor_retries_a_killed_run_as_a_worker_would(
    backoff: Callable[[int], float] | Sequence[float] | None, expected: list[float | None], tmp_path: Path
) -> None:
    options: dict[str, Any] = {} if backoff is None else {"backoff": backoff}

    @on("user.*", name="it", retries=3, **options)
    def it(_: Event) -> None:
        """Does nothing."""

    handler = registry_module.declared.pop()
    announce(tmp_path / "it.announcement", Registry([handler]), ("events",))
    [announced], queues = read_announcement(tmp_path / "it.announcement")

    assert queues == ("events",)
    assert [announced.policy.delay_after(spent, plain) for spent in range(4)] == expected
