"""The attempt: what a handler may know of its own run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a handler may know of its own run: its number from 1, and when it will be stopped."""

    number: int
    deadline: datetime
    is_ours: Callable[[], bool] = field(repr=False)
    """False once another worker has taken over, or may have: stop, the result will not count."""
