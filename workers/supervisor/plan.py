"""The plan of a supervisor: the settings, the handlers and the queues that were read at a start or at a reload."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings
from surehook.shared.visible import visible
from surehook.workers.announcement import read_announcement
from surehook.workers.handlers.registry import Registry


@dataclass(frozen=True, slots=True)
class Plan:
    """Stays with the processes that were started for it: their claims are given back on the store that they used."""

    settings: Settings
    registry: Registry = field(default_factory=lambda: Registry(()))
    queues: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """False until its first process has announced the handlers."""
        return bool(self.queues)

    def announced(self, path: Path) -> "Plan":
        """Returns it with what its first process has announced; unchanged while that process imports the modules."""
        if self.is_known or not path.exists():
            return self
        return Plan(self.settings, *read_announcement(path))


def report(mistake: Misconfigured) -> None:
    """Writes a mistake in the settings as a start does, with the variable and what was expected."""
    sys.stderr.write(f"{visible(str(mistake))}\n")
    sys.stderr.flush()
