"""The `Attempt` that is passed to a handler: its number, its deadline, and whether its claim still holds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a handler: its number from 1, and when it will be stopped."""

    number: int
    deadline: datetime
    is_ours: Callable[[], bool] = field(repr=False)
    """False once another worker has the job, or may have it: stop, the result will not count."""
    handler: str = ""
    """The handler's id."""
