"""A step of a plan, and what the steps have done so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from surehook.fusionauth.client import FusionAuthClient

HIDDEN = "(not shown)"


@dataclass
class Outcome:
    """Collects what earlier steps made, for later ones and for the operator."""

    signature: dict[str, Any] = field(default_factory=dict)
    """The part of a webhook that names its signing key."""
    webhook_id: str = ""
    env: dict[str, str] = field(default_factory=dict)
    """Settings for `.env`; their values may be secrets."""
    undo: list[str] = field(default_factory=list)
    """Requests that undo the steps, without secrets."""


@dataclass(frozen=True, slots=True)
class Step:
    """`text` says what it does, without secrets."""

    text: str
    take: Callable[[FusionAuthClient, Outcome], None]
