"""The attempt: the facts about its own run that a handler may ask for."""

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
