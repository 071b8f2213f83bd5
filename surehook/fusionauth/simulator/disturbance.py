"""Decides by chance, always the same for the same seed, what goes wrong with an event on its way."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.records import Json

UNKNOWN_TYPE = "user.teleport.success"  # a type of a version to come
NULLABLE = ("linkedObjectId", "info", "data", "reason")


@dataclass
class Disturbance:
    """Shares of deliveries with a fault, and of events in an odd form; nothing is disturbed at first."""

    seed: int
    faults: Mapping[Fault, float] = field(default_factory=dict)
    unknown_type: float = 0
    missing_fields: float = 0
    null_fields: float = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a reproducible choice is wanted

    def fault_of(self, _event: Mapping[str, Any], _webhook: Json) -> Fault | None:
        """Returns the fault of one delivery."""
        if not self.faults:
            return None
        found = self._random.random()
        for fault, share in self.faults.items():
            found -= share
            if found < 0:
                return fault
        return None

    def sent_as(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the event as it is sent. Its id stays, so that it can be found again."""
        if self._happens(self.unknown_type):
            event = {**event, "type": UNKNOWN_TYPE}
        if self._happens(self.missing_fields):
            event = {name: _bare(value) for name, value in event.items() if name in ("id", "type", "user")}
        if self._happens(self.null_fields):
            event = {**event, **dict.fromkeys(NULLABLE)}
        return event

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


def _bare(value: Any) -> Any:
    return {"id": value["id"]} if isinstance(value, dict) and "id" in value else value
