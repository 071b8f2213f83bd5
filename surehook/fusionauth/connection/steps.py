"""A step of a plan, and what the steps have done so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from surehook.fusionauth.client import FusionAuthClient

HIDDEN = "(not shown)"


@dataclass
class Outcome:
    """Collects what earlier steps made, for later ones and for the operator.

    `on_undo` and `on_secret` are called as soon as there is something to undo or to keep: the run may be killed next.
    """

    signature: dict[str, Any] = field(default_factory=dict)
    """The part of a webhook that names its signing key."""
    webhook_id: str = ""
    env: dict[str, str] = field(default_factory=dict)
    """Settings for `.env`, to be written when FusionAuth signs: until then an endpoint with them refuses its events."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Settings that were written at once: FusionAuth never tells a secret again."""
    undo: list[str] = field(default_factory=list)
    """Requests that undo the steps, without secrets."""
    on_undo: Callable[[str], None] = lambda _: None
    on_secret: Callable[[str, str], None] = lambda _, __: None

    def add_undo(self, request: str) -> None:
        self.undo.append(request)
        self.on_undo(request)

    def add_secret(self, name: str, value: str) -> None:
        self.on_secret(name, value)
        self.secrets[name] = value


@dataclass(frozen=True, slots=True)
class Step:
    """`text` says what it does, without secrets."""

    text: str
    take: Callable[[FusionAuthClient, Outcome], None]
